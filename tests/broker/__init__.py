"""One suite for every implementation of the broker protocol."""
