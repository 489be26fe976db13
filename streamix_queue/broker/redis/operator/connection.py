"""`RedisOperator`: the one connection of an operator, and the subjects that can be asked over it."""

from __future__ import annotations

from streamix_queue.broker.redis.link import Link
from streamix_queue.broker.redis.operator.checkup import Checkup
from streamix_queue.broker.redis.operator.entries import Entries
from streamix_queue.broker.redis.operator.groups import Groups
from streamix_queue.broker.redis.operator.letters import Letters
from streamix_queue.broker.redis.operator.pauses import Pauses
from streamix_queue.broker.redis.operator.retention import Retention
from streamix_queue.broker.redis.operator.retries import Retries

__all__ = ["RedisOperator"]


class RedisOperator:
    """One connection, opened at first use. Owned by one thread.

    Every method of a subject may raise `BrokerError`: Redis cannot be reached, or refuses.

    Args:
        url: The server.
        timeout_s: How long connecting and each reply may take, in seconds.

    Attributes:
        entries: The entries of a stream, whatever it is for.
        groups: The groups of a stream, their members and what is pending.
        letters: Dead letters on their way back.
        retries: The retries that wait for their time.
        retention: What may be trimmed.
        pauses: The events that are paused.
        checkup: What the doctor judges.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        link = self._link = Link(url, timeout_s)
        self.entries: Entries = Entries(link)
        self.groups: Groups = Groups(link)
        self.letters: Letters = Letters(link)
        self.retries: Retries = Retries(link)
        self.retention: Retention = Retention(link)
        self.pauses: Pauses = Pauses(link)
        self.checkup: Checkup = Checkup(link)

    def now_ms(self) -> int:
        """Redis' clock, Unix time in ms."""
        return self._link.now_ms()

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._link.close()
