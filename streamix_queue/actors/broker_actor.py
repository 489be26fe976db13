"""What every actor that talks to Redis has in common: its own broker, and that it waits out outages."""

from __future__ import annotations

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.errors import BrokerError, BrokerUnavailable, StreamixError
from streamix_queue.runtime import Actor
from streamix_queue.telling.observers import Outage

__all__ = ["BrokerActor"]


class BrokerActor(Actor):
    """An actor with a broker of its own. An outage of any length is waited out in its loop.

    Refusals (a password or a right taken away, a key of the wrong type) are waited out as well,
    only more slowly: an operator can mend them under a running process.
    """

    transient = (BrokerError,)

    def __init__(self, name: str, broker: ConsumerBroker, outage: Outage) -> None:
        super().__init__(name)
        self.broker = broker
        self._outage = outage

    def on_transient(self, error: BaseException, attempt: int) -> float:
        """Tell the outage (once for all actors) and say how long to wait, in seconds."""
        if isinstance(error, StreamixError):
            self._outage.began(self.name, error)
        wait = super().on_transient(error, attempt)
        return wait if isinstance(error, BrokerUnavailable) else max(wait, 1.0)

    def answered(self) -> None:
        """Redis answered: if there was an outage, it is over."""
        self._outage.ended(self.name)

    def replace(self) -> None:
        """From the supervisor's thread: break the call that does not return."""
        super().replace()
        self.broker.abort()

    def teardown(self) -> None:
        """Close the connection; the next actor of this name has its own."""
        self._outage.ended(self.name)
        self.broker.close()
