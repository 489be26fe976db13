"""What the verbs share that change something at run time: which group, which events, and whether to go on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from streamix_queue.admin import Control
from streamix_queue.cli.shared.choosing import require_event, require_group
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.output import at_terminal

__all__ = ["confirm", "known_group", "refuse_unknown_events"]


def known_group(control: Control, group: str | None) -> str:
    """The group that is meant: the one that was named, or the only one there is."""
    groups = control.groups()
    if group is None:
        if len(groups) == 1:
            return groups[0]
        known = f"Its groups: {', '.join(groups)}" if groups else "The stream has no groups."
        raise click.UsageError(f"say with --group which group. {known}")
    require_group(group, groups)
    return group


def refuse_unknown_events(group: str, events: Iterable[str], known: Sequence[str], advice: str) -> None:
    """An event that nobody in the group handles is, most likely, a slip of the hand."""
    for event in events:
        require_event(group, event, known, advice)


def confirm(question: str, nothing: str) -> None:
    """Go on only if that is wanted; ``nothing`` says what did not happen otherwise."""
    if not (at_terminal(sys.stdin) and at_terminal(sys.stderr)):
        raise Failure(Exit.REFUSED, f"{nothing}: nobody can be asked", "Add --yes if you are sure.")
    if not click.confirm(question, err=True):
        raise Failure(Exit.REFUSED, nothing)
