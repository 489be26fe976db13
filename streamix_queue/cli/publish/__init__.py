"""`streamix publish`: one event from the command line, or many from a file or a pipe."""
