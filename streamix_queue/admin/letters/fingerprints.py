"""Dead letters by the way in which they failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from streamix_queue.admin.letters.entry import DeadLetterEntry

__all__ = ["Fingerprint", "Fingerprints", "grouped"]


@dataclass(frozen=True)
class Fingerprint:
    """Dead letters of one group that failed alike.

    Attributes:
        fingerprint: Of event, class of error and error text without what differs by message.
        group: The consumer group; ``""`` for those that name none (0.1.0's).
        event: Their event.
        count: How many were seen.
        error_type: Class of the exception.
        error: The text of the newest one.
        first_failed_at: Of the oldest that was seen, ISO 8601 text.
        last_failed_at: Of the newest.
        sample_id: Id of the newest.
    """

    fingerprint: str
    group: str
    event: str
    count: int
    error_type: str
    error: str
    first_failed_at: str
    last_failed_at: str
    sample_id: str


@dataclass(frozen=True)
class Fingerprints:
    """What `Admin.fingerprints` saw.

    Attributes:
        groups: The most frequent first.
        seen: How many dead letters were looked at.
        complete: False if there are older ones that were not.
    """

    groups: tuple[Fingerprint, ...]
    seen: int
    complete: bool


def grouped(newest_first: Iterable[DeadLetterEntry]) -> tuple[Fingerprint, ...]:
    """The letters by fingerprint and group, the most frequent first."""
    found: dict[tuple[str, str], Fingerprint] = {}
    for letter in newest_first:
        key = letter.fingerprint, letter.group
        known = found.get(key)
        if known is None:
            found[key] = Fingerprint(
                letter.fingerprint,
                letter.group,
                letter.event,
                1,
                letter.error_type,
                letter.error,
                letter.failed_at,
                letter.failed_at,
                letter.id,
            )
        else:
            found[key] = replace(known, count=known.count + 1, first_failed_at=letter.failed_at)
    return tuple(sorted(found.values(), key=lambda each: each.count, reverse=True))
