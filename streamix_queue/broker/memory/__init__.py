"""The brokers on a server in this process' memory: what the conformance suite holds beside the real ones."""
