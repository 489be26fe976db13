"""The wiring of a consumer: what a process has once, what a stream has, and one start of both."""
