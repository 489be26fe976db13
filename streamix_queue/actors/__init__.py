"""Acts: the actors, each one file, one thread and one reason to change; and what they share."""
