"""What a process holds between the read and the settlement, shared by its actors; each part says which lock or thread owns it."""
