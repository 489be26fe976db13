"""What a process holds between the read and the settlement, shared by its actors; each part has its lock."""
