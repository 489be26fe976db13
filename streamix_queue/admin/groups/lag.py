"""How far behind one group is: stream, inboxes, retries and dead letters."""

from __future__ import annotations

from dataclasses import dataclass

from streamix_queue.admin.groups.progress import sights
from streamix_queue.broker.redis.group_backlog import PendingList
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.keys import Keys

__all__ = ["GroupLag", "InboxLag", "group_lag"]


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


def group_lag(operator: RedisOperator, keys: Keys, count_to: int) -> GroupLag | None:
    """How far behind a group is; None if there is no such group."""
    found = operator.groups.backlog(keys)
    if not found.shared.exists:
        return None
    lag, exact = found.shared.lag, True
    if lag is None:
        known = sights(operator, keys.stream, count_to)
        sight = next((each for each in known if each.name == keys.group_name), None)
        if sight is None:
            return None
        lag, exact = sight.lag, sight.lag_exact
    inboxes = {event: each for event, each in found.inboxes.items() if each.exists}
    lists = [found.shared, *inboxes.values()]
    ages = [each.undelivered_age_s for each in lists if each.undelivered_age_s is not None]
    idle = [each.max_idle_s for each in lists if each.pending]
    return GroupLag(
        group=keys.group_name,
        lag=lag,
        lag_exact=exact,
        pending=found.shared.pending,
        delayed=found.delayed or 0,
        inboxes=tuple(_inbox(event, each) for event, each in inboxes.items()),
        dead_letters=found.dead_letters or 0,
        undelivered_age_s=max(ages, default=None),
        pending_idle_s=max(idle, default=None),
        overdue_s=found.overdue_s,
        members=len(found.members_idle_s),
        errors=found.errors,
    )


def _inbox(event: str, found: PendingList) -> InboxLag:
    # An inbox entry is deleted with its ack, so what is there and not pending is not delivered.
    # Redis' own count is lost with the first deletion.
    return InboxLag(event, max(0, (found.length or 0) - found.pending), found.pending)
