"""The groups a member reads: made at the start, and again if somebody destroyed them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.facts import GroupCreated
from streamix_queue.core.keys import Keys
from streamix_queue.telling.observers import Notice

__all__ = ["Groups", "MendGroups"]

MendGroups = Callable[[ConsumerBroker], None]


class Groups:
    """Thread-safe: several actors may find a group missing in the same moment.

    Args:
        keys: The group's keys.
        inboxes: The inboxes that this member reads.
        start: Where a new group begins on the shared stream: ``0``, ``$`` or an entry id.
        events: What this member handles.
    """

    def __init__(
        self, keys: Keys, inboxes: Iterable[bytes], start: str, notice: Notice, events: Sequence[str] = ()
    ) -> None:
        self._keys = keys
        self._inboxes = tuple(inboxes)
        self._start = start
        self._notice = notice
        self._events = tuple(events)
        self._lock = threading.Lock()

    def create(self, broker: ConsumerBroker) -> None:
        """At the start: every group that is missing. Raises what the broker raises."""
        self._ensure(broker, self._start, again=False)

    def mend(self, broker: ConsumerBroker) -> None:
        """Redis answered that a group is missing.

        It goes on at the beginning of the stream and not at ``$``: what was published since is
        on the stream, and what other members had in hand is known to nobody any more. Entries
        that were handled before are delivered again; losing one would be worse.
        """
        if self._events:
            # Whatever took the group may have taken the registry, and then peers drop our events.
            broker.register(self._events)
        self._ensure(broker, "0", again=True)

    def _ensure(self, broker: ConsumerBroker, start: str, *, again: bool) -> None:
        with self._lock:
            existing = broker.ensure_group(self._keys.stream, start)
            for key in self._inboxes:
                broker.ensure_group(key, "0")
        if existing is not None:
            seen = 0 if start == "$" else existing
            self._notice(GroupCreated(self._keys.stream_name, self._keys.group_name, start, seen, again))
