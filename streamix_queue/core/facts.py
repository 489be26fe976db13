"""What happened: facts in the past tense, and the two kinds of hooks that telemetry uses.

Facts are stated whether anybody listens or not. An `Observer` turns them into metrics and log
lines; an interceptor surrounds code, which is what a span has to do. There are none by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.publication import Publication
from streamix_queue.core.retention import Pin

if TYPE_CHECKING:
    from streamix_queue.core.registration import Registration
    from streamix_queue.core.replay import ReplayRun, Resend

__all__ = [
    "ActorCrashed",
    "ActorOverran",
    "ActorRestarted",
    "ActorStalled",
    "ActorStarted",
    "BrokerDown",
    "BrokerUp",
    "Called",
    "ConsumerStarted",
    "DeadLetterReplayed",
    "Drained",
    "Draining",
    "EventPaused",
    "EventResumed",
    "Fact",
    "Fetched",
    "GroupCreated",
    "LeaseLost",
    "NamesRemoved",
    "Observer",
    "PinsSeen",
    "Polled",
    "ProcessInterceptor",
    "Promoted",
    "PublishFreed",
    "PublishHeldBack",
    "PublishInterceptor",
    "Published",
    "Reclaimed",
    "Renewed",
    "ReplayInterceptor",
    "SettleFailed",
    "Settled",
    "Shed",
    "StreamPinned",
    "StreamTrimmed",
    "StreamUnpinned",
    "SuspectStarted",
    "Throttled",
    "Trimmed",
    "Unreadable",
    "UpkeepRefused",
]


@dataclass(frozen=True)
class Fact:
    """Base of all facts. Frozen; an `Attempt` in one is the consumer's own, and is only to be read."""


@dataclass(frozen=True)
class Published(Fact):
    """A ``publish()`` or ``publish_many()`` ended. ``error_type`` is "" on success."""

    stream: str
    count: int
    seconds: float
    size_bytes: int
    error_type: str = ""
    sizes: Sequence[int] = ()
    """Encoded size of each message (bytes)."""


@dataclass(frozen=True)
class ConsumerStarted(Fact):
    """A consumer is up. ``registrations`` are its events."""

    stream: str
    group: str
    consumer: str
    concurrency: int
    registrations: tuple[Registration, ...]


@dataclass(frozen=True)
class GroupCreated(Fact):
    """A group was made; it will see ``existing`` entries that are on the stream already."""

    stream: str
    group: str
    start: str
    existing: int
    again: bool = False
    """True if it had been there before and was gone: entries may be delivered twice."""


@dataclass(frozen=True)
class Polled(Fact):
    """A read returned, with or without entries. ``seconds`` includes the time blocked."""

    count: int
    seconds: float
    error_type: str = ""


@dataclass(frozen=True)
class Fetched(Fact):
    """Entries came into this process.

    ``source`` is ``new``, ``inbox``, ``reclaim``, or ``recovered`` for those whose first reply
    was lost.
    """

    source: str
    count: int


@dataclass(frozen=True)
class Throttled(Fact):
    """The fetcher waited ``seconds`` for something that it holds to be settled: no room for more."""

    seconds: float


@dataclass(frozen=True)
class Settled(Fact):
    """Attempts have ended, each with its ``outcome``; Redis has confirmed it.

    One fact for a whole batch: a fact per message would cost more than the handler.
    """

    attempts: Sequence[Attempt]
    at: float
    """``time.perf_counter()`` at confirmation (s)."""
    sent_at: float = 0.0
    """``time.perf_counter()`` when it was sent to Redis (s), 0 if unknown."""


@dataclass(frozen=True)
class SettleFailed(Fact):
    """Redis refused to settle an entry; it stays pending and is tried again."""

    attempt: Attempt
    error_type: str
    error: str


@dataclass(frozen=True)
class Renewed(Fact):
    """Leases were renewed, or could not be."""

    count: int
    error_type: str = ""


@dataclass(frozen=True)
class LeaseLost(Fact):
    """An entry that we hold is another member's, or may be; our failure of it will not count."""

    attempt: Attempt


@dataclass(frozen=True)
class Reclaimed(Fact):
    """Entries that somebody left behind, perhaps we, were taken over; stated before any of them runs."""

    count: int
    attempts: Sequence[Attempt] = ()
    min_idle_s: float = 0.0
    deleted: int = 0
    """Others that were pending, and are lost: their payload was trimmed away."""


@dataclass(frozen=True)
class Trimmed(Fact):
    """A pending entry is gone from its stream, or its group was destroyed.

    With ``held`` this process has the message in hand, and it is not lost; without, it is.
    """

    key: str
    entry_id: str
    held: bool


@dataclass(frozen=True)
class Unreadable(Fact):
    """A member of the delayed set was none of ours; it went to the dead letters."""


@dataclass(frozen=True)
class SuspectStarted(Fact):
    """A message that was delivered before without an outcome runs alone, for the nth time."""

    attempt: Attempt
    starts: int


@dataclass(frozen=True)
class Promoted(Fact):
    """Retries that were due went to their inbox."""

    count: int


@dataclass(frozen=True)
class Called(Fact):
    """A round trip to Redis ended; blocking reads are `Polled` instead.

    ``unacked`` counts entries that were acked and not pending (any more).
    """

    command: str
    seconds: float
    error_type: str = ""
    unacked: int = 0


@dataclass(frozen=True)
class DeadLetterReplayed(Fact):
    """An operator sent a dead letter back to its group."""

    stream: str
    group: str
    event: str


@dataclass(frozen=True)
class BrokerDown(Fact):
    """Redis cannot be reached, or refuses; stated once, whatever the number of attempts."""

    error_type: str
    error: str


@dataclass(frozen=True)
class BrokerUp(Fact):
    """Redis answers again after ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class ActorStarted(Fact):
    """The supervisor started an actor for the first time."""

    actor: str


@dataclass(frozen=True)
class ActorCrashed(Fact):
    """An actor's loop ended with an error of ours."""

    actor: str
    error_type: str
    traceback: str


@dataclass(frozen=True)
class ActorRestarted(Fact):
    """The supervisor started an actor anew."""

    actor: str
    attempt: int


@dataclass(frozen=True)
class ActorStalled(Fact):
    """An actor made no progress for ``seconds`` and was replaced."""

    actor: str
    seconds: float


@dataclass(frozen=True)
class ActorOverran(Fact):
    """At shutdown an actor did not end within its ``seconds``; its thread lives on."""

    actor: str
    seconds: float


@dataclass(frozen=True)
class Draining(Fact):
    """Stop was asked for: nothing new is taken, ``running`` handlers may finish."""

    running: int
    timeout_s: float


@dataclass(frozen=True)
class Drained(Fact):
    """The consumer has ended. ``overran`` handlers were still running."""

    overran: int
    seconds: float


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

    ``chore`` is ``duty``, ``trim``, ``inboxes``, ``names`` or ``suspects``.
    """

    chore: str
    error_type: str
    error: str


@dataclass(frozen=True)
class EventPaused(Fact):
    """An operator paused an event of the group; ``parked`` attempts went back to its inbox."""

    event: str
    parked: int


@dataclass(frozen=True)
class EventResumed(Fact):
    """It is started again."""

    event: str


@dataclass(frozen=True)
class PublishHeldBack(Fact):
    """The slowest group is ``backlog`` messages behind, and that is ``limit``: publishing is held back."""

    stream: str
    group: str
    backlog: int
    limit: int


@dataclass(frozen=True)
class PublishFreed(Fact):
    """That group has caught up so far that publishing goes on; it was held back for ``seconds``."""

    stream: str
    group: str
    backlog: int
    seconds: float


@dataclass(frozen=True)
class Shed(Fact):
    """Messages that were not published, by choice, because the slowest group was too far behind."""

    stream: str
    count: int


class Observer(Protocol):
    """Receives facts, on whatever thread they happen; must be thread-safe and quick.

    What it raises is logged once and harms no message.
    """

    def notice(self, fact: Fact) -> None:
        """Take note of ``fact``."""
        ...


class PublishInterceptor(Protocol):
    """Surrounds the publishing of messages with a context manager.

    None instead of one means that there is nothing to surround. What it raises is logged once
    and harms no message. An object may be a `ProcessInterceptor` as well.
    """

    def publishing(self, publication: Publication) -> AbstractContextManager[None] | None:
        """Around a publish. May fill each message's carrier with trace fields."""
        ...


class ProcessInterceptor(Protocol):
    """Surrounds the processing of messages, as `PublishInterceptor` does with publishing."""

    def processing(self, attempt: Attempt) -> AbstractContextManager[None] | None:
        """Around the handler, on its thread and in a context of its own.

        ``attempt.outcome`` is set before it exits; it exits without an exception, for the
        handler's is in ``attempt.failure``.
        """
        ...


class ReplayInterceptor(Protocol):
    """Surrounds an operator's replays, as `PublishInterceptor` does with publishing."""

    def replaying(self, run: ReplayRun) -> AbstractContextManager[None] | None:
        """Around a whole replay."""
        ...

    def resending(self, resend: Resend) -> AbstractContextManager[None] | None:
        """Around each letter. May set what the next attempt links to."""
        ...
