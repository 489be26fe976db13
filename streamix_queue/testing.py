"""For the tests of services: the broker in memory, with a clock and faults of the test's choosing."""

from __future__ import annotations

from streamix_queue.broker.memory.consumer import MemoryConsumerBroker, MemoryPublisherBroker, MemoryServer

__all__ = ["MemoryConsumerBroker", "MemoryPublisherBroker", "MemoryServer"]
