"""The brokers on a real Redis or Valkey, on redis-py's connection and nothing above it."""
