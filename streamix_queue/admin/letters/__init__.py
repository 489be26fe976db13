"""Dead letters: what they are, which are meant, and how they are read, sent back, exported and removed."""
