"""A frame of `streamix top`, cut to the size of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from streamix_queue.cli.shared.output import drawing, printable
from streamix_queue.cli.top.frame import Frame, summary_of, tables_of

__all__ = ["screen"]

_FEWEST_MEMBERS = 3


def screen(
    output: str, taken: Frame, heading: str, problems: Sequence[str], size: tuple[int, int]
) -> RenderableType:
    """A frame for a screen of so many columns and lines, with what could not be read on top."""
    width, height = size
    rows = [
        _line(heading, "bold"),
        _line(summary_of(taken)),
        *(_line(problem, "yellow") for problem in (*problems, *taken.problems)),
    ]
    drawn: list[RenderableType] = list(rows)
    used = len(rows)
    if not taken.groups:
        drawn += [_line(""), _line("The stream has no groups.")]
        used += 2
    for columns, records in tables_of(taken):
        fitting = records
        if records is taken.members:
            fitting = records[: max(_FEWEST_MEMBERS, height - used - 3)]
        if fitting:
            cut = fitting if output == "wide" else [_cut(each, width) for each in fitting]
            drawn += [_line(""), drawing(output, columns, cut)]
            used += 2 + len(fitting)
        if len(fitting) < len(records):
            drawn.append(_line(f"and {len(records) - len(fitting)} more members"))
    return Group(*drawn)


def _line(text: str, style: str = "") -> RenderableType:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _cut(each: dict[str, Any], width: int) -> dict[str, Any]:
    """With names so short that the numbers beside them stay on the screen."""
    shorter = dict(each)
    for key, share in (("group", 6), ("member", 3), ("event", 3)):
        if key in each:
            name = Text(printable(each[key]))
            name.truncate(max(12, width // share), overflow="ellipsis")
            shorter[key] = name.plain
    return shorter
