"""Brokers: the protocol, its implementations, the scripts. A method is one round trip, or says more."""
