"""What an operator changes while groups run: what is trimmed, and which events are paused."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.broker.redis import upkeep as redis_upkeep
from streamix_queue.broker.redis.link import Link
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import PINNED_AFTER_MS, Trimming

__all__ = ["Upkeep"]


class Upkeep:
    """Trims a stream, and pauses events of its groups."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def has_wishes(self, keys: Keys) -> bool:
        """Whether a group of the stream has said how long it wants everything to be kept."""
        return bool(self._link.call("HLEN", keys.keeps))

    def trim(self, keys: Keys, keep_ms: int, limit: int, *, wishes: bool) -> Trimming:
        """One step; with ``limit`` 0 only a look. ``wishes`` keeps for as long as any group wants."""
        keeps = keys.keeps if wishes else None
        return redis_upkeep.trim(self._link, keys.stream, keep_ms, limit, PINNED_AFTER_MS, keeps=keeps)

    def pause(self, keys: Keys, events: Sequence[str]) -> int:
        """Pause events; how many were not paused before."""
        return redis_upkeep.pause(self._link, keys, events)

    def resume(self, keys: Keys, events: Sequence[str]) -> int:
        """Start events again; how many were paused."""
        return redis_upkeep.resume(self._link, keys, events)

    def paused(self, keys: Keys) -> dict[str, int]:
        """The paused events, and since when (server ms)."""
        return redis_upkeep.paused(self._link, keys)
