"""One module for each peer: how it publishes and consumes, with which settings."""
