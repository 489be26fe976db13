"""Other libraries, each driven in a virtual environment of its own."""
