"""What a process holds between the read and the settlement. Each part says which lock or thread owns it."""
