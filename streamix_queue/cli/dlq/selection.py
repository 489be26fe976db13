"""What the verbs of `streamix dlq` share: which letters are meant, and how one is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any, TypeVar

import click

from streamix_queue.admin import Admin, DeadLetterEntry, DeadLetterFilter
from streamix_queue.cli.shared.choosing import require_group
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.core.outcome import Reason
from streamix_queue.core.redact import redact_text

__all__ = ["Selection", "audit_option", "filter_options", "refuse_unknown_group", "shown"]

F = TypeVar("F", bound=Callable[..., Any])


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

    def of(self, group: str | None) -> DeadLetterFilter:
        """The filter, for letters of ``group``. Raises `ConfigError`."""
        return DeadLetterFilter(
            "" if self.ungrouped else group,
            self.event,
            self.reason,
            self.fingerprint,
            self.failed_after,
            self.failed_before,
        )


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


def audit_option(command: F) -> F:
    """A file to which `streamix_queue.admin` adds a line for each run that changes something."""
    return click.option(
        "--audit-log",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        envvar="STREAMIX_AUDIT_LOG",
        show_envvar=True,
        expose_value=False,
        callback=_audit_into,
        help="Add a line: who, what and how many.",
    )(command)


def _audit_into(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if not path:
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"cannot write {path}: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("streamix_queue.audit")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    context.call_on_close(handler.close)


def refuse_unknown_group(admin: Admin, group: str | None) -> None:
    """Nothing of a group that is not there is no answer but, most likely, a slip of the hand."""
    if group:
        require_group(group, admin.groups())


def shown(entry: DeadLetterEntry) -> dict[str, Any]:
    """A letter as data. Its payload is left out: it may be large, and private."""
    return {
        "id": entry.id,
        "fingerprint": entry.fingerprint,
        "group": entry.group or None,
        "event": entry.event,
        "reason": entry.reason,
        "error": redact_text(entry.error),
        "error_type": entry.error_type or None,
        "retries": entry.retries,
        "replays": entry.replays,
        "failed_at": entry.failed_at or None,
        "message_id": entry.message_id or None,
    }
