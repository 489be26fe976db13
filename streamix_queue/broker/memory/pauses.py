"""The paused events of a group; mirrors `redis.pauses` and its script."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.broker.memory.store import Hash, Store
from streamix_queue.core.errors import WrongKeyType
from streamix_queue.core.keys import Keys

__all__ = ["pause", "paused", "paused_if_readable", "resume"]


def pause(store: Store, keys: Keys, events: Sequence[str], now_ms: int) -> int:
    """Pause events of a group; how many were not paused before."""
    paused = store.grow(keys.paused, Hash)
    newly = [event.encode() for event in events if event.encode() not in paused]
    paused.update(dict.fromkeys(newly, b"%d" % now_ms))
    return len(newly)


def resume(store: Store, keys: Keys, events: Sequence[str]) -> int:
    """Start events of a group again; how many were paused."""
    paused = store.get(keys.paused, Hash) or Hash()
    return sum(paused.pop(event.encode(), None) is not None for event in events)


def paused(store: Store, keys: Keys) -> dict[str, int]:
    """The paused events of a group, and since when (server ms)."""
    found = store.get(keys.paused, Hash) or Hash()
    return {event.decode(): int(since) for event, since in found.items()}


def paused_if_readable(store: Store, keys: Keys) -> frozenset[str]:
    """The paused events of a group; none if the key is of another type."""
    try:
        return frozenset(event.decode() for event in store.get(keys.paused, Hash) or Hash())
    except WrongKeyType:
        return frozenset()
