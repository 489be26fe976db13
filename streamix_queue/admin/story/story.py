"""`Story`: where one message is in every group of its stream, as data. Times are by Redis' clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streamix_queue.core.wire import FailedAttempt

__all__ = ["GroupStory", "Sighting", "Story", "most_alive"]

_MOST_ALIVE_FIRST = ("pending", "waiting", "delayed", "dead")


@dataclass(frozen=True)
class Sighting:
    """A place where a group has the message.

    Attributes:
        state: ``pending`` (delivered, not settled), ``waiting`` (in an inbox, not delivered),
            ``delayed`` (a retry that waits for its time) or ``dead`` (a dead letter).
        id: Id of the entry there; ``""`` for a delayed retry, which has none.
        inbox_of: Event of the inbox that it is in; None if it is in none.
        source_id: Id of the entry on the stream that it came from, ``""`` if that is not known.
        consumer: Who holds it, or gave it up; ``""`` if nobody.
        idle_s: Since it was delivered, or its lease renewed, seconds; None unless pending.
        deliveries: How often it was delivered; None unless pending.
        due_ms: When the retry is due, Unix time, ms; None unless delayed.
        reason: Why it is dead, as `DeadLetterEntry.reason`; ``""`` unless it is.
        error_type: Class of the last error, ``""`` if there was none.
        error: Its text.
        retries: How many attempts came before.
        replays: How often it was replayed.
        attempts: The failed attempts, oldest first; at most 20 are kept.
    """

    state: str
    id: str = ""
    inbox_of: str | None = None
    source_id: str = ""
    consumer: str = ""
    idle_s: float | None = None
    deliveries: int | None = None
    due_ms: int | None = None
    reason: str = ""
    error_type: str = ""
    error: str = ""
    retries: int = 0
    replays: int = 0
    attempts: tuple[FailedAttempt, ...] = field(default=(), repr=False)

    @property
    def place(self) -> tuple[object, ...]:
        """Two sightings in one place are one."""
        return self.state, self.id, self.inbox_of, self.due_ms


@dataclass(frozen=True)
class GroupStory:
    """The message as one group has it.

    Attributes:
        group: The group; ``""`` for dead letters that name none, as 0.1.0 wrote them.
        state: The state of the sighting that is most alive, without one:

            - ``undelivered``: the entry is on the stream, and still to come.
            - ``handled``: the group is past it and has it nowhere. Redis cannot tell this from
              an entry that was on the stream before the group began.
            - ``settled``: as ``handled``, but not everything was looked at, see `Story.unsearched`.
            - ``lost``: the entry was trimmed or deleted before it was delivered.
            - ``unknown``: which entry held the message is not known.
        sightings: Where it is; mostly one place or none.
    """

    group: str
    state: str
    sightings: tuple[Sighting, ...] = ()


@dataclass(frozen=True)
class Story:
    """All that Redis knows of one message, see `Storyteller.story`.

    Attributes:
        asked: The id that was asked for.
        found: Whether it is known anywhere; if not, only ``nearby`` and ``unsearched`` tell more.
        entry_id: Id of the entry that holds or held it on the stream, ``""`` if not known.
        on_stream: Whether the entry is still there.
        other_entries: Older entries of the stream with the same message id, newest first: it was
            published again (a caller's retry, or 0.1.0, which retried so).
        message_id: Id of the message; ``""`` if it cannot be decoded, or nobody has its text.
        event: Its event, None as above; the five below, too.
        created_at: When it was published, as the publisher said.
        updated_at: When it last changed.
        retries: The count in its envelope, where the envelope was found.
        data: The payload.
        trace_id: The trace in which it was published, 32 hex digits; ``""`` if there is none.
        error: Why it cannot be decoded; None if it can.
        also_letter: There is a dead letter of another message with the id that was asked for.
        groups: Every group of the stream, by name, and those that only have dead letters.
        nearby: Ids like the one that was not found.
        unsearched: The places of which only a part was looked at.
    """

    asked: str
    found: bool
    entry_id: str = ""
    on_stream: bool = False
    other_entries: tuple[str, ...] = ()
    message_id: str = ""
    event: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    retries: int | None = None
    data: dict[str, Any] | None = field(default=None, repr=False)
    trace_id: str = ""
    error: str | None = None
    also_letter: bool = False
    groups: tuple[GroupStory, ...] = ()
    nearby: tuple[str, ...] = ()
    unsearched: tuple[str, ...] = ()


def most_alive(sightings: list[Sighting]) -> tuple[Sighting, ...]:
    """The sightings of a group, in order."""
    return tuple(sorted(sightings, key=lambda each: _MOST_ALIVE_FIRST.index(each.state)))
