"""The groups of a stream: how far behind they are, who is in them, and what they hold."""
