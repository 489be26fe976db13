"""What `Inspector` sees, as data. Times are in seconds, by Redis' clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = [
    "GroupLag",
    "GroupProgress",
    "GroupSight",
    "InboxLag",
    "Member",
    "PendingEntry",
    "PendingPage",
    "StreamSight",
]


@dataclass(frozen=True)
class GroupSight:
    """A consumer group of the stream.

    Attributes:
        name: Its name.
        consumers: How many members Redis knows; those that are gone are among them for a while.
        pending: Entries of the stream that were delivered and not settled.
        lag: Entries of the stream that were not delivered.
        lag_exact: False if there may be more: the lag had to be counted, and was not to the end.
        last_delivered_id: The newest entry that was delivered.
        entries_read: How many ever were; None if Redis does not know.
    """

    name: str
    consumers: int
    pending: int
    lag: int
    lag_exact: bool
    last_delivered_id: str
    entries_read: int | None


@dataclass(frozen=True)
class GroupProgress:
    """How far a group has come on the stream itself, its inboxes left out.

    Attributes:
        name: Its name.
        entries_read: How many entries were ever delivered; None if Redis does not know.
        pending: Entries that were delivered and not settled.
        last_delivered_id: The newest entry that was delivered.
    """

    name: str
    entries_read: int | None
    pending: int
    last_delivered_id: str


@dataclass(frozen=True)
class StreamSight:
    """A stream and the progress of its groups, all of one moment.

    Attributes:
        at_s: The moment, Unix time in seconds.
        entries: Entries on it.
        entries_added: Entries ever added; None if Redis does not count them (before 7.0).
        first_id: The oldest entry; None if there is none.
        last_id: The newest entry that there ever was.
        dead_letters: Of all groups of the stream.
        groups: By name.
    """

    at_s: float
    entries: int
    entries_added: int | None
    first_id: str | None
    last_id: str
    dead_letters: int
    groups: tuple[GroupProgress, ...]


@dataclass(frozen=True)
class Member:
    """A member of a group.

    Attributes:
        name: Its consumer name.
        pending: Entries of the stream that it holds.
        inbox_pending: Entries of the group's inboxes that it holds.
        idle_s: Since it last asked for anything; None if never.
        inactive_s: Since it last got something; None if never, or if Redis does not know (before 7.2).
    """

    name: str
    pending: int
    inbox_pending: int
    idle_s: float | None
    inactive_s: float | None

    def seen(self, facts: Mapping[str, Any], *, on_inbox: bool) -> Member:
        """With what one of its streams tells added."""
        return replace(
            self,
            pending=self.pending + (0 if on_inbox else facts["pending"]),
            inbox_pending=self.inbox_pending + (facts["pending"] if on_inbox else 0),
            idle_s=_shorter(self.idle_s, facts["idle"]),
            inactive_s=_shorter(self.inactive_s, facts.get("inactive", -1)),
        )


@dataclass(frozen=True)
class PendingEntry:
    """An entry that was delivered and is not settled.

    Attributes:
        id: Its id on its stream.
        event: Event of the inbox that it is on; None for the shared stream.
        consumer: Who holds it.
        idle_s: Since it was delivered, or its lease renewed.
        deliveries: How often it was delivered.
    """

    id: str
    event: str | None
    consumer: str
    idle_s: float
    deliveries: int


@dataclass
class PendingPage:
    """What `Inspector.pending` found.

    Attributes:
        entries: Oldest first.
        more: There are more that match.
        complete: False if not all pending entries were looked at.
    """

    entries: list[PendingEntry] = field(default_factory=list)
    more: bool = False
    complete: bool = True


@dataclass(frozen=True)
class InboxLag:
    """A group's private stream of retries, replays and hand-overs of one event.

    Attributes:
        event: The event.
        lag: Entries that were not delivered.
        pending: Entries that were delivered and not settled.
    """

    event: str
    lag: int
    pending: int


@dataclass(frozen=True)
class GroupLag:
    """How far behind a group is.

    Attributes:
        group: Its name.
        lag: Entries of the stream that were not delivered.
        lag_exact: False if there may be more, see `GroupSight`.
        pending: Entries of the stream that were delivered and not settled.
        delayed: Retries that wait for their time.
        inboxes: Its private streams, by event; at most 100.
        dead_letters: Of all groups of the stream.
        undelivered_age_s: Of the oldest entry that was not delivered; None if there is none.
        pending_idle_s: Longest idle time of the oldest 100 pending entries of each stream; None
            if there is none.
        overdue_s: How long the first waiting retry has been due; 0 if it is not.
        members: How many Redis knows.
        errors: What could not be read, in Redis' words.
    """

    group: str
    lag: int
    lag_exact: bool
    pending: int
    delayed: int
    inboxes: tuple[InboxLag, ...]
    dead_letters: int
    undelivered_age_s: float | None
    pending_idle_s: float | None
    overdue_s: float
    members: int
    errors: tuple[str, ...] = ()

    @property
    def inbox(self) -> int:
        """Entries of all inboxes, delivered or not."""
        return sum(each.lag + each.pending for each in self.inboxes)

    @property
    def undelivered(self) -> int:
        """Entries of the stream and of the inboxes that were not delivered."""
        return self.lag + sum(each.lag for each in self.inboxes)

    @property
    def age_s(self) -> float:
        """How long the oldest has waited: undelivered, pending and untouched, or a retry that is due."""
        return max(self.undelivered_age_s or 0.0, self.pending_idle_s or 0.0, self.overdue_s)


def _shorter(known_s: float | None, milliseconds: int) -> float | None:
    if milliseconds < 0:  # Redis' way to say never
        return known_s
    return milliseconds / 1000 if known_s is None else min(known_s, milliseconds / 1000)
