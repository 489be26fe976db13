"""`streamix run`: the consumer of an application, in this process or in several supervised ones."""
