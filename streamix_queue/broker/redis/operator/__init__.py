"""What operators ask of Redis: one class for each subject, all over the one link of a `RedisOperator`."""
