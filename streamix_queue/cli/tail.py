"""`streamix tail`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click
import msgspec

from streamix_queue.admin import Inspector, StreamEntry
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, output_option, stream_options
from streamix_queue.cli.shared.output import document, note, printable, record, write

__all__ = ["tail"]

_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?\Z", re.ASCII)
_SCAN = 10_000
_DEFAULT = 10


@click.command(
    epilog=examples(
        "streamix tail -n 3",
        "streamix tail --from -10m --event order.placed -n 100 -o ndjson",
        "streamix tail --follow",
    )
)
@stream_options
@click.option(
    "--from",
    "start",
    metavar="WHERE",
    help="earliest, latest, -10m (ten minutes ago) or an entry id. Without it: the newest, or with "
    "--follow what comes from now on.",
)
@click.option("-n", "limit", type=click.IntRange(1), metavar="N", help="End after N; 10 without --follow.")
@click.option("--event", metavar="NAME", help="Those of this event.")
@click.option("-f", "--follow/--no-follow", help="Wait for more, until Ctrl-C.")
@output_option
def tail(
    *,
    redis_url: str,
    stream: str,
    start: str | None,
    limit: int | None,
    event: str | None,
    follow: bool,
    output: str,
) -> int:
    """Show the entries of the stream.

    Only looks: no group hears of it, and nothing is taken from anybody. Without --follow it looks
    at 10,000 entries at the most.
    """
    if follow and output == "json":
        raise click.UsageError("with --follow there is no end of the JSON: use -o ndjson")
    with Inspector(redis_url, stream) as inspector:
        try:
            entries = _entries(inspector, start, limit or _DEFAULT, event, follow)
            count = _print(output, islice(entries, limit) if follow else entries)
        except KeyboardInterrupt:  # how following ends
            return Exit.OK
    if not count:
        note("There are no such entries.")
    return Exit.OK


def _entries(
    inspector: Inspector, start: str | None, limit: int, event: str | None, follow: bool
) -> Iterator[StreamEntry]:
    def selected(entry: StreamEntry) -> bool:
        return event is None or entry.event == event

    if start is None and not follow:
        newest = islice(filter(selected, inspector.newest(scan=_SCAN)), limit)
        return reversed(list(newest))
    after = _after(inspector, start or "latest")
    if follow:
        return filter(selected, inspector.follow(after))
    return islice(filter(selected, inspector.entries(after, scan=_SCAN)), limit)


def _after(inspector: Inspector, start: str) -> str:
    """Id of the entry before the first that is shown."""
    if start == "earliest":
        return "0-0"
    if start == "latest":
        return inspector.last_id()
    if start.startswith("-"):
        try:
            return f"{max(0, inspector.now_ms() - duration_ms(start[1:]))}-0"
        except click.BadParameter as error:
            raise click.BadParameter(error.message, param_hint="--from") from None
    if not _ID.match(start):
        raise click.BadParameter(
            f"{start!r}: expected earliest, latest, a time such as -10m, or an entry id", param_hint="--from"
        )
    return _before(start)


def _before(entry_id: str) -> str:
    milliseconds, _, sequence = entry_id.partition("-")
    if int(sequence or 0):
        return f"{milliseconds}-{int(sequence) - 1}"
    return f"{max(0, int(milliseconds) - 1)}-{2**64 - 1 if int(milliseconds) else 0}"


def _print(output: str, entries: Iterator[StreamEntry]) -> int:
    if output == "json":
        everything = [_as_row(entry) for entry in entries]
        document(output, everything)
        return len(everything)
    show: Callable[[StreamEntry], None] = _line if output in ("table", "wide") else _record
    count = 0
    for entry in entries:
        show(entry)
        count += 1
    return count


def _record(entry: StreamEntry) -> None:
    record(_as_row(entry))


def _line(entry: StreamEntry) -> None:
    data = entry.error or msgspec.json.encode(entry.data).decode()
    write(printable(f"{entry.id}  {entry.event or '-'}  {entry.message_id or '-'}  {data}"))


def _as_row(entry: StreamEntry) -> dict[str, Any]:
    return dict(vars(entry))
