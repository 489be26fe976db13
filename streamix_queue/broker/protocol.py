"""What the actors and the publisher ask of Redis. No policy and no threads here.

One method is one round trip, unless it says otherwise. Beyond that any may open the connection first,
ask another node that a cluster points to, and send a script's text to a server that did not know it.

Two implementations keep it: `redis` and, for tests, `memory`; one conformance suite holds both.
Every method may raise `BrokerUnavailable` (outcome unknown), `BrokerRefused`, `GroupMissing`,
`WrongKeyType` or `OutOfMemory`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamix_queue.core.commands import Command, Fence, Verdict
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import Trimming

__all__ = [
    "HANDLER_TTL_MS",
    "Answer",
    "Backlog",
    "Claimed",
    "ConsumerBroker",
    "Due",
    "Duty",
    "Entry",
    "MakeBroker",
    "PublisherBroker",
    "Standing",
    "Taken",
    "UpkeepBroker",
]

HANDLER_TTL_MS = 7 * 86_400_000
"""How long an event counts as handled after the last sign of a member that handles it. Long, so
that a weekend's outage of a service drops nothing that is meant for it."""

Entry = tuple[bytes, list[bytes] | None]
"""(entry id, flat fields); the fields are None if the payload was trimmed away."""

Taken = tuple[bytes, int, list[bytes]]
"""(entry id, delivery count, flat fields) of an entry that is ours now."""

Answer = Verdict | list[Verdict] | Exception
"""What became of a command; a list for one that carries several fences."""


class Standing:
    """What a renewal found out about a lease."""

    OURS = 1
    STOLEN = 0
    ORPHAN = 2
    """Not pending for anybody: trimmed, or its group was destroyed. We hold the only copy."""


@dataclass(frozen=True)
class Claimed:
    """Answer to `ConsumerBroker.reclaim`."""

    cursor: bytes
    """Where to go on; ``b"0-0"`` when the whole pending list was seen."""
    entries: list[Taken]
    trimmed: list[bytes]
    """Ids whose payload is gone; they are pending no more."""
    late: bool = False
    """The server came to it too late, and nothing was taken."""


@dataclass(frozen=True)
class Due:
    """Answer to `ConsumerBroker.due`: what should be promoted, and when to look again."""

    members: list[bytes]
    next_in_ms: int | None
    """Until the next retry that is not due yet; None if there is none."""
    nudge: bytes
    """Changes when a member of the group has handed entries back."""
    paused: frozenset[str] = frozenset()
    """Events that are not to be started."""


@dataclass(frozen=True)
class Duty:
    """Answer to `UpkeepBroker.take_duty`: what is ours to look after, until the next one."""

    stream: bool
    group: bool


@dataclass(frozen=True)
class Backlog:
    """Answer to `PublisherBroker.backlog`: the group that has most to do yet.

    Attributes:
        group: Its name; ``""`` if the stream has no group: then all that is on it waits for one.
        count: Not delivered, pending, waiting for a retry, and in its inboxes. When it is more
            than was asked for, there may be more still.
    """

    group: str
    count: int


class UpkeepBroker(Protocol):
    """What the janitor asks, and the pauses of events. Part of `ConsumerBroker`."""

    def take_duty(self, keep_ms: int | None, ttl_ms: int) -> Duty:
        """Note how long this group wants everything kept; ask whether to clear up, for ``ttl_ms``.

        One member at a time has the duty for the stream, and one that for its group; whoever has
        it keeps it by asking again. Only economy rests on it.
        """
        ...

    def trim(self, key: bytes, keep_ms: int | None, limit: int, pinned_after_ms: int) -> Trimming:
        """Remove up to ``limit`` entries (or a node) that no group of ``key`` needs any more.

        What is younger than ``keep_ms`` stays (None: everything), and on the shared stream also
        what is younger than any group wants. An inbox is cleared to its last acked entry. With
        ``limit`` 0 it only looks.
        """
        ...

    def registered(self, limit: int) -> list[str]:
        """Events that members of the group handle, those first that were seen last."""
        ...

    def remove_idle(self, keys: Sequence[bytes], idle_ms: int) -> list[str]:
        """Remove the names of other consumers that have nothing pending and were silent so long.

        A server that does not count fruitless reads as signs of life (before Redis 7.2) gives
        them 24 times as long.
        """
        ...

    def forget_suspects(self, cursor: int, count: int) -> tuple[int, int]:
        """Forget suspects that are pending for nobody: (next cursor, how many). 0 begins and ends.

        Two round trips if there are suspects among the ``count`` (or some more) that are looked at.
        """
        ...

    def pause(self, events: Sequence[str]) -> int:
        """No member is to start these; how many were not paused before."""
        ...

    def resume(self, events: Sequence[str]) -> int:
        """Start them again; how many were paused."""
        ...

    def paused(self) -> dict[str, int]:
        """Paused events, and since when (server ms)."""
        ...


class ConsumerBroker(UpkeepBroker, Protocol):
    """One member of one group. Each actor has its own; an instance belongs to one thread.

    `interrupt` and `abort` are the exceptions: they are called from other threads.
    """

    def connect(self) -> None:
        """Connect now, so that a wrong URL or password is told at the call.

        Raises:
            ClusterKeyError: the server is a cluster and the stream has no hash tag.
        """
        ...

    def now_ms(self) -> int:
        """The server's clock, Unix time in ms."""
        ...

    def ensure_group(self, key: bytes, start: str) -> int | None:
        """Create the stream and group if missing; the stream's length if it was created now.

        Two round trips if it was created, one if it was there; two also when Redis refuses before it
        looks whether there is one (full, or no right to make groups).
        """
        ...

    def read(self, keys: Sequence[bytes], count: int, block_ms: int) -> list[tuple[bytes, list[Entry]]]:
        """Take up to ``count`` new entries of each key, waiting up to ``block_ms`` for the first.

        Two round trips on a new connection, whose number `interrupt` has to know.
        """
        ...

    def settle(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands in order, in one round trip; each has its own answer.

        Two when the server did not know a script; those commands then come after the others.
        """
        ...

    def renew(self, key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[int]:
        """Renew leases (entry id, delivery count); a `Standing` for each."""
        ...

    def reclaim(
        self, key: bytes, min_idle_ms: int, cursor: bytes, count: int, latest_ms: int | None = None
    ) -> Claimed:
        """Take over entries that were idle for ``min_idle_ms``; counts a delivery.

        Nothing is taken if the server comes to it later than ``latest_ms`` by its clock: it stood
        still, and nobody could renew.
        """
        ...

    def own_pending(self, key: bytes, limit: int) -> list[tuple[bytes, int]]:
        """What is pending under this consumer's name: (entry id, delivery count)."""
        ...

    def take(self, key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[Taken]:
        """Fetch entries that are ours already (their reply was lost); counts no delivery."""
        ...

    def suspect(self, fence: Fence) -> int:
        """Count one more start of a suspect; the number of starts, 0 if it is not ours.

        A delivery counts once, so this may be asked again when a reply was lost. As for commands,
        what is pending for nobody is ours if the fence is `or_absent`.
        """
        ...

    def due(self, limit: int) -> Due:
        """Retries whose time has come, by the server's clock; and what is paused."""
        ...

    def promote(self, members: Sequence[bytes]) -> int:
        """Move delayed members to the inbox of their event; how many were still there."""
        ...

    def discard_delayed(self, member: bytes, fields: Sequence[bytes]) -> None:
        """Remove a delayed member that cannot be read; ``fields`` go to the dead-letter stream."""
        ...

    def register(self, events: Sequence[str]) -> None:
        """Say that this member handles ``events``."""
        ...

    def depart(self, keys: Sequence[bytes]) -> None:
        """Remove this consumer's name from the groups in which nothing is pending for it."""
        ...

    def interrupt(self) -> None:
        """End a blocking `read` of this instance early, losing nothing. Any thread.

        On a connection of its own, and as many round trips as it takes until the read is blocked;
        it gives up after a second.
        """
        ...

    def abort(self) -> None:
        """Break the connection under a call that does not return. Any thread."""
        ...

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        ...


class PublisherBroker(Protocol):
    """Adds entries. Thread-safe, and safe after ``fork()``."""

    def check(self, key: bytes) -> None:
        """Raise `ClusterKeyError` if the server is a cluster and ``key`` has no hash tag."""
        ...

    def add(self, key: bytes, fields: Sequence[bytes]) -> bytes:
        """Add one entry; its id."""
        ...

    def add_many(self, key: bytes, entries: Sequence[Sequence[bytes]]) -> list[bytes | Exception]:
        """Add entries in order, in one round trip; an id or an error for each."""
        ...

    def add_unless_there(self, key: bytes, message_id: bytes, fields: Sequence[bytes]) -> bytes:
        """Add one entry unless a recent one holds ``message_id``; its id, or that one's. For lost replies."""
        ...

    def ensure_group(self, key: bytes, group: bytes, start: str) -> int | None:
        """Create the stream and group if missing; the stream's length if it was created now.

        Two round trips if it was created, one if it was there; two also when Redis refuses before it
        looks whether there is one (full, or no right to make groups).
        """
        ...

    def backlog(self, stream: str, enough: int) -> Backlog:
        """How far the slowest group is behind; counted no further than ``enough`` has to be.

        Up to three round trips, and more only to count for a group whose lag Redis does not know.
        """
        ...

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        ...


MakeBroker = Callable[[Keys, str, float], ConsumerBroker]
"""(keys of the group, consumer name, longest wait for an answer in s) → a broker, not connected yet."""
