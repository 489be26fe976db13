"""`streamix dlq`: the dead letters of a stream."""
