"""What the verbs of `streamix dlq` share: which letters are meant, and how one is shown."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from streamix_queue.admin import Admin, DeadLetterEntry
from streamix_queue.cli.exits import Exit, Failure
from streamix_queue.core.outcome import Reason
from streamix_queue.core.redact import redact_text

__all__ = ["filter_options", "refuse_unknown_group", "shown"]

F = TypeVar("F", bound=Callable[..., Any])


def filter_options(command: F) -> F:
    """``event``, ``reason`` and ``ungrouped``; ``group`` means something else to each verb."""
    for option in (
        click.option("--ungrouped", is_flag=True, help="Those that name no group, as 0.1.0 wrote them."),
        click.option("--reason", type=click.Choice(Reason.ALL), help="Those with this reason."),
        click.option("--event", metavar="NAME", help="Those of this event."),
    ):
        command = option(command)
    return command


def refuse_unknown_group(admin: Admin, group: str | None) -> None:
    """Nothing of a group that is not there is no answer but, most likely, a slip of the hand."""
    if not group:
        return
    groups = admin.groups()
    if group not in groups:
        near = difflib.get_close_matches(group, groups, n=1)
        known = f"Its groups: {', '.join(groups)}" if groups else "It has no groups."
        raise Failure(
            Exit.NOT_FOUND,
            f"the stream has no group {group!r}",
            f"Did you mean {near[0]!r}?" if near else known,
        )


def shown(entry: DeadLetterEntry) -> dict[str, Any]:
    """A letter as data. Its payload is left out: it may be large, and private."""
    return {
        "id": entry.id,
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
