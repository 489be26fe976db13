"""Trimming a stream, and only what no group of it needs."""

from __future__ import annotations

from streamix_queue.broker.redis import retention
from streamix_queue.broker.redis.link import Link
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import PINNED_AFTER_MS, Trimming

__all__ = ["Retention"]


class Retention:
    """Trims a stream."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def has_wishes(self, keys: Keys) -> bool:
        """Whether a group of the stream has said how long it wants everything to be kept."""
        return bool(self._link.call("HLEN", keys.keeps))

    def trim(self, keys: Keys, keep_ms: int, limit: int, *, wishes: bool) -> Trimming:
        """One step; with ``limit`` 0 only a look. ``wishes`` keeps for as long as any group wants."""
        keeps = keys.keeps if wishes else None
        return retention.trim(self._link, keys.stream, keep_ms, limit, PINNED_AFTER_MS, keeps=keeps)
