"""`streamix demo`: publish, fail, retry, dead-letter and replay on a server of its own."""
