"""Which dead letters a verb of `streamix dlq` works on, as its options say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any

import click

from streamix_queue.admin import Admin, DeadLetterFilter
from streamix_queue.cli.shared.choosing import require_group
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.core.outcome import Reason

__all__ = ["Selection", "filter_options"]


@dataclass(frozen=True)
class Selection:
    """What the filter options say, but for the group, which means something else to each verb."""

    event: str | None
    reason: str | None
    fingerprint: str | None
    failed_after: datetime | None
    failed_before: datetime | None
    ungrouped: bool

    def __bool__(self) -> bool:
        """Whether any of them was given."""
        return self != Selection(None, None, None, None, None, ungrouped=False)

    def filter(self, admin: Admin, group: str | None) -> DeadLetterFilter:
        """The filter for letters of ``group``; for those of all groups if that is None.

        Raises:
            ConfigError: an option is out of range.
            Failure: the stream has no such group.
        """
        selected = DeadLetterFilter(
            "" if self.ungrouped else group,
            self.event,
            self.reason,
            self.fingerprint,
            self.failed_after,
            self.failed_before,
        )
        if selected.group:
            require_group(admin.groups(), selected.group)
        return selected


def filter_options(command: Callable[..., int]) -> Callable[..., int]:
    """``selection``: which letters."""

    @wraps(command)
    def selecting(
        *,
        event: str | None,
        reason: str | None,
        fingerprint: str | None,
        newer_than: int | None,
        older_than: int | None,
        ungrouped: bool,
        **options: Any,
    ) -> int:
        selection = Selection(event, reason, fingerprint, _ago(newer_than), _ago(older_than), ungrouped)
        return command(selection=selection, **options)

    for option in (
        click.option("--ungrouped", is_flag=True, help="Those that name no group, as 0.1.0 wrote them."),
        click.option("--newer-than", type=duration_ms, metavar="TIME", help="Those of the last 90s, 6h, 7d."),
        click.option("--older-than", type=duration_ms, metavar="TIME", help="Those older than 90s, 6h, 30d."),
        click.option("--fingerprint", metavar="HEX", help="Those that failed in this way, see dlq stats."),
        click.option("--reason", type=click.Choice(Reason.ALL), help="Those with this reason."),
        click.option("--event", metavar="NAME", help="Those of this event."),
    ):
        selecting = option(selecting)
    return selecting


def _ago(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.now(timezone.utc) - timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise click.UsageError("--older-than, --newer-than: that is before the year 1") from None
