"""Which dead letters are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from streamix_queue.admin.letters.entry import DeadLetterEntry
from streamix_queue.core.entry_ids import id_order
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.outcome import Reason

__all__ = ["DeadLetterFilter"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FINGERPRINT = re.compile(r"[0-9a-f]{10}\Z")


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters; without arguments all of them.

    Attributes:
        group: Those of this consumer group; ``""`` for those that name none (0.1.0's).
        event: Those of this event.
        reason: Those with this reason.
        fingerprint: Those that failed in this way, see `Admin.fingerprints`.
        failed_after: Those that were written at this moment or later, by Redis' clock.
        failed_before: Those that were written before it.

    Raises:
        ConfigError: there is no such reason, no such fingerprint, or a moment lacks a time zone.
    """

    group: str | None = None
    event: str | None = None
    reason: str | None = None
    fingerprint: str | None = None
    failed_after: datetime | None = None
    failed_before: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("failed_after", "failed_before"):
            moment = getattr(self, name)
            if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
                raise ConfigError(f"{name}={moment!r}: expected a datetime with a time zone")
        if self.fingerprint is not None and not _FINGERPRINT.match(self.fingerprint):
            raise ConfigError(f"fingerprint={self.fingerprint!r}: expected 10 hex digits, as stats show them")
        if self.reason is not None and self.reason not in Reason.ALL:
            raise ConfigError(f"reason={self.reason!r}: expected one of {', '.join(Reason.ALL)}")

    def matches(self, entry: DeadLetterEntry) -> bool:
        """Whether ``entry`` is one of them."""
        milliseconds, end_ms = id_order(entry.id)[0], self.end_ms()
        return (
            self.group in (None, entry.group)
            and self.event in (None, entry.event)
            and self.reason in (None, entry.reason)
            and self.first_ms() <= milliseconds
            and (end_ms is None or milliseconds < end_ms)
            and (self.fingerprint is None or self.fingerprint == entry.fingerprint)
        )

    def first_ms(self) -> int:
        """The earliest moment that is meant, ms since 1970; ids of entries begin with theirs."""
        return 0 if self.failed_after is None else max(0, _ceil_ms(self.failed_after))

    def end_ms(self) -> int | None:
        """The first moment that is not meant any more; None if there is no end."""
        return None if self.failed_before is None else max(0, _ceil_ms(self.failed_before))


def _ceil_ms(moment: datetime) -> int:
    return -((_EPOCH - moment) // timedelta(milliseconds=1))
