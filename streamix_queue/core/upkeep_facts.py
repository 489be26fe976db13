"""More facts, see `facts`: of retention, of pauses and of publishers that are held back."""

from __future__ import annotations

from dataclasses import dataclass

from streamix_queue.core.facts import Fact
from streamix_queue.core.retention import Pin

__all__ = [
    "BackpressureBegan",
    "BackpressureEnded",
    "EventPaused",
    "EventResumed",
    "NamesRemoved",
    "PinsSeen",
    "Shed",
    "StreamPinned",
    "StreamTrimmed",
    "StreamUnpinned",
    "UpkeepRefused",
]


@dataclass(frozen=True)
class StreamTrimmed(Fact):
    """Entries that no group needs were removed from a stream; ``length`` are left."""

    key: str
    count: int
    length: int


@dataclass(frozen=True)
class StreamPinned(Fact):
    """Groups are so far behind that the stream grows for their sake; stated when they change.

    ``pins`` are the furthest, of ``count`` in all.
    """

    stream: str
    pins: tuple[Pin, ...]
    count: int


@dataclass(frozen=True)
class StreamUnpinned(Fact):
    """No group is far behind any more."""

    stream: str


@dataclass(frozen=True)
class PinsSeen(Fact):
    """What the janitor found at this look, for gauges; no pins as well when another looks now."""

    stream: str
    pins: tuple[Pin, ...]


@dataclass(frozen=True)
class NamesRemoved(Fact):
    """Consumers of the group that had nothing pending and were silent for long."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class UpkeepRefused(Fact):
    """Redis refuses a chore of the janitor; stated once, until it works again.

    ``chore`` is ``turn``, ``trim``, ``inboxes``, ``names`` or ``suspects``.
    """

    chore: str
    error_type: str
    error: str


@dataclass(frozen=True)
class EventPaused(Fact):
    """An operator paused an event of the group; ``parked`` deliveries went back to its inbox."""

    event: str
    parked: int


@dataclass(frozen=True)
class EventResumed(Fact):
    """It is started again."""

    event: str


@dataclass(frozen=True)
class BackpressureBegan(Fact):
    """The slowest group is ``backlog`` messages behind, and that is ``limit``: publishing is held back."""

    stream: str
    group: str
    backlog: int
    limit: int


@dataclass(frozen=True)
class BackpressureEnded(Fact):
    """It has caught up so far that publishing goes on; it was held back for ``seconds``."""

    stream: str
    group: str
    backlog: int
    seconds: float


@dataclass(frozen=True)
class Shed(Fact):
    """Messages that were not published, by choice, because the slowest group was too far behind."""

    stream: str
    count: int
