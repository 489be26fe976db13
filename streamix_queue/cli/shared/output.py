"""What the command prints: data on stdout, messages on stderr, control characters only as text.

rich is imported where something is drawn: JSON needs none of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = [
    "Column",
    "PipeClosed",
    "at_terminal",
    "document",
    "drawing",
    "note",
    "printable",
    "record",
    "say",
    "silence",
    "table",
    "write",
]

Record = Mapping[str, Any]
_WIDE = 10_000  # characters; off a terminal no line is cut


class PipeClosed(Exception):
    """The reader of stdout has closed its end of the pipe."""


class Column(NamedTuple):
    """One column of a table: its heading, the key of its value, and how it looks."""

    heading: str
    key: str
    style: str = ""
    shrinks: bool = False
    """May be cut to fit the terminal; the others never are."""
    wide: bool = False
    """Shown by ``-o wide`` only, which cuts nothing."""


# --- text from outside --------------------------------------------------------------------------


def printable(text: str) -> str:
    r"""``text`` with everything that steers a terminal shown as ``\x1b``, ``\u202e`` and so on."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json(value: object, *, indent: int) -> str:
    import msgspec  # noqa: PLC0415 - text needs none of it

    raw = msgspec.json.encode(value)
    text = (msgspec.json.format(raw, indent=indent) if indent else raw).decode()
    if text.isprintable():
        return text
    # Outside of strings JSON has no such character but the line break of the indentation.
    return re.sub(r"[^ -~\n]", lambda found: _json_escaped(found[0]), text)


def _json_escaped(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


# --- where it goes ------------------------------------------------------------------------------


def write(text: str) -> None:
    """Print a line of data, at once: the reader may be at the other end of a pipe."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


def say(text: str, style: str = "") -> None:
    """Print a line for people, with a style if there is a terminal that knows colours."""
    from rich.text import Text  # noqa: PLC0415

    write(_rendered(Text(printable(text), style=style), wrap=False))


def note(text: str) -> None:
    """Print a message on stderr, line by line as printable text."""
    for line in text.splitlines() or [""]:
        click.echo(printable(line), err=True)


def silence() -> None:
    """Send stdout nowhere: the interpreter flushes it at the end, and would fail at a closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def at_terminal(stream: TextIO) -> bool:
    """Whether it is a terminal, where a person reads or types."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _rendered(what: RenderableType, *, wrap: bool, cut: bool = True) -> str:
    """What rich makes of it for stdout; obeys NO_COLOR, FORCE_COLOR and TERM=dumb.

    Printing it is left to `write`: rich exits the process by itself when a pipe is closed.
    """
    from rich.console import Console  # noqa: PLC0415

    width = None if cut and at_terminal(sys.stdout) else _WIDE
    console = Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(what, soft_wrap=not wrap)
    return captured.get().removesuffix("\n")


# --- records ------------------------------------------------------------------------------------


def record(value: Record) -> None:
    """Print one record as a line of JSON."""
    write(_json(value, indent=0))


def document(output: str, value: object) -> None:
    """Print one value as JSON: in a line with ``ndjson``, else for people to read."""
    write(_json(value, indent=0 if output == "ndjson" else 2))


def table(output: str, columns: Sequence[Column], records: Iterable[Record]) -> int:
    """Print records as ``output`` says (``table``, ``wide``, ``json`` or ``ndjson``); how many there were.

    A table shows the given columns, ``wide`` those that are only for it, too; JSON everything.
    """
    if output == "ndjson":
        count = 0
        for each in records:
            record(each)
            count += 1
        return count
    everything = list(records)
    if output == "json":
        document(output, everything)
    elif everything:
        cut = output != "wide"
        write(_rendered(drawing(output, columns, everything), wrap=cut, cut=cut))
    return len(everything)


def drawing(output: str, columns: Sequence[Column], records: Sequence[Record]) -> Table:
    """The table that `table` prints, for a screen that is drawn again and again."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    wide = output == "wide"
    columns = [column for column in columns if wide or not column.wide]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        width = None if column.shrinks and not wide else max(len(_cell(r, column)) for r in records)
        drawn.add_column(
            column.heading, style=column.style, no_wrap=True, overflow="ellipsis", min_width=width
        )
    for each in records:
        drawn.add_row(*(Text(_cell(each, column)) for column in columns))
    return drawn


def _cell(each: Record, column: Column) -> str:
    value = each[column.key]
    return "-" if value is None or value == "" else printable(str(value))
