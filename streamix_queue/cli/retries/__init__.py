"""`streamix retries`: the retries of a group that are not due yet."""
