"""Where one message is, in every group of its stream."""
