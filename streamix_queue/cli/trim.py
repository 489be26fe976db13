"""`streamix trim`."""

from __future__ import annotations

from typing import Any

import click

from streamix_queue.admin import Control, TrimReport
from streamix_queue.cli.shared.confirmation import confirm, yes_option
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, output_option, stream_options
from streamix_queue.cli.shared.output import Column, document, note, table

__all__ = ["trim"]

_COLUMNS = (
    Column("GROUP", "group"),
    Column("NEEDS FROM", "needs_from", "cyan"),
    Column("BEHIND S", "behind_s"),
    Column("PENDING", "pending"),
)
_MANY = 100_000


@click.command(epilog=examples("streamix trim --dry-run", "streamix trim --keep 6h --yes"))
@stream_options
@click.option(
    "--keep",
    type=duration_ms,
    metavar="TIME",
    help="Keep what is younger, such as 90s, 30m, 6h, 7d or 0. Without it: as long as any group wishes "
    "(a day, if none has said).",
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@yes_option()
@output_option
def trim(*, redis_url: str, stream: str, keep: int | None, dry_run: bool, yes: bool, output: str) -> int:
    """Remove what every group is done with.

    Never what a group still needs: what it has not read yet, and what is pending. Shows which
    groups hold the stream back. Running consumers do the same by themselves, so this is for a
    shorter --keep, or for when none runs.
    """
    with Control(redis_url, stream) as control:
        planned = control.trim(keep_ms=keep, dry_run=True)
        if dry_run or not planned.removed:
            _show(output, stream, planned)
            note(_summary(planned))
            return Exit.OK
        if not yes:
            note(_summary(planned))
            confirm("Remove them?", "nothing was removed")
        report = control.trim(keep_ms=keep)
    _show(output, stream, report)
    note(_summary(report))
    return Exit.OK


def _show(output: str, stream: str, report: TrimReport) -> None:
    pins: list[dict[str, Any]] = [
        {
            "group": pin.group,
            "needs_from": pin.entry_id,
            "behind_s": round(pin.age_s, 1),
            "pending": pin.pending,
        }
        for pin in report.pins
    ]
    if output in ("json", "ndjson"):
        found = {
            "stream": stream,
            "removed": 0 if report.dry_run else report.removed,
            "removable": report.removed if report.dry_run else None,
            "left": report.left,
            "floor": report.floor or None,
            "dry_run": report.dry_run,
            "pinning": report.pinning,
            "pins": pins,
        }
        document(output, found)
        return
    table(output, _COLUMNS, pins)


def _summary(report: TrimReport) -> str:
    behind = f" {report.pinning} group(s) far behind hold the stream back." if report.pinning else ""
    if not report.floor:
        return f"Nothing may go: the stream has no group, or a group wants to keep everything.{behind}"
    if not report.dry_run:
        return f"Removed {report.removed}; {report.left} are left.{behind}"
    if not report.removed:
        return f"Nothing to remove of {report.left}.{behind}"
    many = "more than " if report.removed >= _MANY else "up to "
    return f"To be removed: {many}{report.removed} of {report.left}, all below {report.floor}.{behind}"
