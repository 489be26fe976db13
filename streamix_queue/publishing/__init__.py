"""How a service writes events: the publisher, the joining of writes, and holding back."""
