"""Decides: pure values and functions. No threads, no Redis, no clock and no randomness of its own."""
