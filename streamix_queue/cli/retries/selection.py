"""Which retries a verb of `streamix retries` works on, as its arguments and options say."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from streamix_queue.admin import Control, Delayed
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.output import note

__all__ = ["Selected", "Selection", "announce", "look_at_option", "select", "selection_options"]

F = TypeVar("F", bound=Callable[..., Any])
_IDS_SHOWN = 5


@dataclass(frozen=True)
class Selection:
    """What the arguments and options say: ids or ``everything``, of which event, how far to look."""

    ids: tuple[str, ...]
    everything: bool
    event: str | None
    look_at: int


@dataclass(frozen=True)
class Selected:
    """The retries that were asked for, and the message ids for which there is none."""

    retries: list[Delayed]
    missing: list[str]

    @property
    def asked(self) -> int:
        """How many were asked for."""
        return len(self.retries) + len(self.missing)


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


def selection_options(command: Callable[..., int]) -> Callable[..., int]:
    """``selection``: which retries."""

    @wraps(command)
    def selecting(
        *, ids: tuple[str, ...], everything: bool, event: str | None, look_at: int, **options: Any
    ) -> int:
        return command(selection=Selection(ids, everything, event, look_at), **options)

    for option in (
        look_at_option,
        click.option("--event", metavar="NAME", help="Of all, those of this event."),
        click.option("--all", "everything", is_flag=True, help="All retries that wait, not given ids."),
        click.argument("ids", metavar="[MESSAGE_ID]...", nargs=-1),
    ):
        selecting = option(selecting)
    return selecting


def select(control: Control, group: str, selection: Selection) -> Selected:
    """Read the retries that are selected, and note which ids are missing.

    Raises:
        UsageError: ids and options do not go together.
        Failure: none of the ids is there.
    """
    ids, event, look_at = selection.ids, selection.event, selection.look_at
    if bool(ids) == selection.everything:
        raise click.UsageError("give message ids (see: streamix retries list), or --all")
    if event is not None and not selection.everything:
        raise click.UsageError("--event selects from --all, not from ids")
    if selection.everything:
        return Selected(list(control.retries(group, event=event, look_at=look_at)), [])
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
    if missing and not found:
        raise Failure(Exit.NOT_FOUND, "none of them waits", "streamix retries list  shows what does.")
    return Selected(found, missing)


def announce(selected: Selected, action: str) -> None:
    """Say what is about to happen, by event."""
    note(f"To be {action}: {len(selected.retries)} of {selected.asked} retries.")
    for event, count in Counter(retry.event for retry in selected.retries).most_common():
        note(f"  {count} × {event}")
