"""Which group and which events a verb is about, and how it ends if there are none of that name.

The same condition ends every verb in the same way: a name that is not known, and a stream without
groups, are not found; several groups of which none is named are wrong usage.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NoReturn

from streamix_queue.cli.shared.exits import Exit, Failure

__all__ = [
    "chosen_group",
    "chosen_groups",
    "not_found",
    "require_any_group",
    "require_events",
    "require_group",
]


def chosen_group(stream: str, known: Sequence[str], named: str | None) -> str:
    """The group that was named, or the only one there is.

    Args:
        stream: Name of the stream.
        known: The stream's groups.
        named: What ``--group`` says; None without it.
    """
    if named is not None:
        require_group(known, named)
        return named
    require_any_group(stream, known)
    if len(known) > 1:
        raise Failure(Exit.USAGE, "say with --group which group", f"The groups: {', '.join(known)}")
    return known[0]


def chosen_groups(known: Sequence[str], named: str | None) -> list[str]:
    """The group that was named; without a name all, which may be none."""
    if named is None:
        return list(known)
    require_group(known, named)
    return [named]


def require_any_group(stream: str, known: Sequence[str]) -> None:
    """End the command if the stream has no group, as one has that does not exist."""
    if not known:
        raise Failure(
            Exit.NOT_FOUND,
            f"stream {stream!r} has no groups",
            "Another stream is named by --stream or STREAMIX_STREAM.",
        )


def require_group(known: Sequence[str], group: str) -> None:
    """End the command if the group is not among those of the stream, ``known``."""
    if group not in known:
        not_found(f"the stream has no group {group!r}", group, known, "groups")


def require_events(group: str, known: Sequence[str], events: Iterable[str], *advice: str) -> None:
    """End the command if one of the events is not among those that the group handles, ``known``."""
    for event in events:
        if event not in known:
            not_found(f"group {group!r} has no event {event!r}", event, known, "events", *advice)


def not_found(what: str, name: str, known: Sequence[str], kind: str, *advice: str) -> NoReturn:
    """End the command because ``name`` is unknown, with the known name that is spelled most like it.

    Args:
        what: Says what is missing.
        name: As it was typed.
        known: The names there are.
        kind: What those are: ``groups``, ``events``.
        advice: What to do next, a line each.
    """
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = f"Its {kind}: {', '.join(known)}" if known else f"It has no {kind}."
    raise Failure(Exit.NOT_FOUND, what, hint, *advice)
