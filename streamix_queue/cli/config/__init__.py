"""`streamix config`, and the file that ``--config`` names."""
