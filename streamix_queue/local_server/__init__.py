"""Finding, starting and stopping a server program on this machine, for the embedded server."""
