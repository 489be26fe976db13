"""The test suite. A real package, so that another one's `tests` on the path cannot stand before it."""
