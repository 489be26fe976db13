"""The programs under test: each runs in a process of its own and is told its job by the harness."""
