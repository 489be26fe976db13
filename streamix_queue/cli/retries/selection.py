"""What the verbs of `streamix retries` share: which retries are meant, and how one is shown."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

import click

from streamix_queue.admin import Control, Delayed
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.output import note
from streamix_queue.core.redact import redact_text

__all__ = ["Chosen", "choose", "choosing_options", "conclude", "look_at_option", "shown", "told"]

F = TypeVar("F", bound=Callable[..., Any])
_IDS_SHOWN = 5


@dataclass(frozen=True)
class Chosen:
    """The retries that are meant, and the ids for which there is none."""

    retries: list[Delayed]
    missing: list[str]


def look_at_option(command: F) -> F:
    """``look_at``: the bound of every look through the retries of a group."""
    return click.option(
        "--look-at",
        type=click.IntRange(1),
        default=10_000,
        show_default=True,
        metavar="N",
        help="Look through no more than so many, the next due first.",
    )(command)


def choosing_options(command: F) -> F:
    """``everything``, ``event`` and ``look_at``."""
    for option in (
        look_at_option,
        click.option("--event", metavar="NAME", help="Of all, those of this event."),
        click.option("--all", "everything", is_flag=True, help="All retries that wait, not given ids."),
    ):
        command = option(command)
    return command


def choose(
    control: Control, group: str, ids: Sequence[str], *, everything: bool, event: str | None, look_at: int
) -> Chosen:
    """Read what is meant; of ids that are not there says why and what is like them."""
    if bool(ids) == everything:
        raise click.UsageError("give message ids (see: streamix retries list), or --all")
    if event is not None and not everything:
        raise click.UsageError("--event selects from --all, not from ids")
    if everything:
        return Chosen(list(control.retries(group, event=event, look_at=look_at)), [])
    wanted, found, others = set(ids), [], []
    for retry in control.retries(group, look_at=look_at):
        if retry.message_id in wanted:
            found.append(retry)
        else:
            others.append(retry.message_id)
    there = {retry.message_id for retry in found}
    missing = [message_id for message_id in dict.fromkeys(ids) if message_id not in there]
    for message_id in missing[:_IDS_SHOWN]:
        near = difflib.get_close_matches(message_id, others[:1000], n=1, cutoff=0.8)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        note(f"Not found: no retry of message {message_id!r} waits in group {group!r}.{hint}")
    waiting = control.count_retries(group) if missing else 0
    if waiting > look_at:
        note(f"Only the next {look_at} of {waiting} were looked at; --look-at looks further.")
    return Chosen(found, missing)


def conclude(chosen: Chosen) -> None:
    """Fail if there is nothing to do because what was asked for is not there."""
    if chosen.missing and not chosen.retries:
        raise Failure(Exit.NOT_FOUND, "none of them waits", "streamix retries list  shows what does.")


def told(chosen: Chosen, action: str) -> None:
    """Say what is about to happen, by event."""
    note(f"To be {action}: {len(chosen.retries)} of {len(chosen.retries) + len(chosen.missing)} retries.")
    for event, count in Counter(retry.event for retry in chosen.retries).most_common():
        note(f"  {count} × {event}")


def shown(retry: Delayed, group: str) -> dict[str, Any]:
    """A retry as data. Its payload is left out: it may be large, and private."""
    last = retry.attempts[-1] if retry.attempts else None
    due = datetime.fromtimestamp(retry.due_ms / 1000, timezone.utc)
    return {
        "message_id": retry.message_id or None,
        "group": group,
        "event": retry.event,
        "retry": retry.retries,
        "due_at": due.isoformat(timespec="milliseconds"),
        "error_type": (last.error_type if last else None) or None,
        "error": redact_text(last.error) if last else None,
        "source_id": retry.source_id or None,
    }
