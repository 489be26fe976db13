"""The actors of a consumer, one a file and a thread, and the steps that they take."""
