"""The pauses of events, as an operator sets them."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.broker.redis import pauses
from streamix_queue.broker.redis.link import Link
from streamix_queue.core.keys import Keys

__all__ = ["Pauses"]


class Pauses:
    """Pauses events of a group, and lets them be started again."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def pause(self, keys: Keys, events: Sequence[str]) -> int:
        """Pause events; how many were not paused before."""
        return pauses.pause(self._link, keys, events)

    def resume(self, keys: Keys, events: Sequence[str]) -> int:
        """Start events again; how many were paused."""
        return pauses.resume(self._link, keys, events)

    def paused(self, keys: Keys) -> dict[str, int]:
        """The paused events, and since when (server ms)."""
        return pauses.paused(self._link, keys)
