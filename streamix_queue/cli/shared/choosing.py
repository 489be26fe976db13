"""Names that people type: what is not there is not found, and what is like it is offered."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NoReturn, Protocol

from streamix_queue.cli.shared.exits import Exit, Failure

__all__ = ["chosen_group", "known_event", "known_groups", "not_found", "require_event", "require_group"]


class _Names(Protocol):
    def group_names(self) -> list[str]: ...
    def events(self, group: str) -> list[str]: ...


def not_found(what: str, name: str, known: Sequence[str], kind: str, *advice: str) -> NoReturn:
    """End the command: ``what`` tells what is missing, ``kind`` what the known ones are (``groups``)."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = f"Its {kind}: {', '.join(known)}" if known else f"It has no {kind}."
    raise Failure(Exit.NOT_FOUND, what, hint, *advice)


def require_group(group: str, known: Sequence[str]) -> None:
    """End the command if the group is not among those of the stream, ``known``."""
    if group not in known:
        not_found(f"the stream has no group {group!r}", group, known, "groups")


def require_event(group: str, event: str, known: Sequence[str], *advice: str) -> None:
    """End the command if the event is not among those of the group, ``known``."""
    if event not in known:
        not_found(f"group {group!r} has no event {event!r}", event, known, "events", *advice)


def known_groups(names: _Names, group: str | None) -> list[str]:
    """The group that was named, which must be there; without a name all."""
    known = names.group_names()
    if group is None:
        return known
    require_group(group, known)
    return [group]


def chosen_group(names: _Names, group: str | None) -> str:
    """The group that was named, or the only one there is."""
    known = known_groups(names, group)
    if len(known) == 1:
        return known[0]
    if not known:
        raise Failure(Exit.NOT_FOUND, "the stream has no groups")
    raise Failure(Exit.USAGE, "say with --group which group", f"The groups: {', '.join(known)}")


def known_event(names: _Names, group: str, event: str) -> str:
    """The event that was named, which members of the group must have said they handle."""
    require_event(group, event, names.events(group))
    return event
