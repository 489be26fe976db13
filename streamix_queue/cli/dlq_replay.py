"""`streamix dlq replay`."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from streamix_queue.admin import (
    Admin,
    DeadLetterFilter,
    Refused,
    Replayed,
    ReplayInterrupted,
    ReplayReport,
)
from streamix_queue.cli.dlq_options import filter_options, refuse_unknown_group
from streamix_queue.cli.exits import Exit, Failure
from streamix_queue.cli.options import examples, group_option, output_option, redis_url_option, stream_option
from streamix_queue.cli.output import Column, at_terminal, note, record, table

__all__ = ["replay"]

_COLUMNS = (
    Column("ID", "id", "cyan"),
    Column("STATUS", "status"),
    Column("GROUP", "group"),
    Column("EVENT", "event"),
    Column("MESSAGE", "message_id"),
)
_IDS_SHOWN = 3


@click.command(
    epilog=examples(
        "streamix dlq replay 1713982500001-0",
        "streamix dlq replay --all --group billing --reason crash --dry-run",
        "streamix dlq replay --all --ungrouped --group billing --yes",
    )
)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@redis_url_option
@stream_option
@click.option(
    "--all", "everything", is_flag=True, help="All that the options below select, or all there are."
)
@group_option("With --all: those of this group. Else: where those failed that name no group.")
@filter_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="With --all: the oldest so many.")
@click.option("--unhandled", is_flag=True, help="Also what no member of the group is known to handle.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option
def replay(
    *,
    ids: tuple[str, ...],
    redis_url: str,
    stream: str,
    everything: bool,
    group: str | None,
    event: str | None,
    reason: str | None,
    ungrouped: bool,
    limit: int | None,
    unhandled: bool,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Send dead letters back to where they failed.

    Each goes to the group in which it failed and to no other, with its message id, payload and
    trace context as they were. What 0.1.0 dead-lettered names no group: say it with --group.

    A replay that was interrupted goes on where it stopped when it is run again: it replays
    nothing twice and forgets nothing.
    """
    _check(ids, everything, selects=bool(event or reason or ungrouped or limit))
    which = DeadLetterFilter("" if ungrouped else group, event, reason) if everything else ids
    if ungrouped and not group:
        raise click.UsageError("--ungrouped: say with --group where those failed that name no group")
    with Admin(redis_url, stream) as admin:
        refuse_unknown_group(admin, group)
        send = partial(
            admin.replay,
            which,
            group=group if ungrouped or ids else None,
            limit=limit,
            unhandled=unhandled,
        )
        if not (dry_run or yes):
            planned = send(dry_run=True)
            if not planned.replayed:
                return _conclude(planned, by_id=bool(ids))
            _confirm(planned)
        lines = _Lines(output, dry_run=dry_run)
        try:
            report = send(dry_run=dry_run, progress=lines.add)
        except (ReplayInterrupted, KeyboardInterrupt):
            lines.finish()
            note(f"Stopped after {lines.replayed} replayed. Run it again: it goes on where it stopped.")
            raise
        lines.finish()
    return _conclude(report, by_id=bool(ids))


def _check(ids: tuple[str, ...], everything: bool, *, selects: bool) -> None:
    if ids and everything:
        raise click.UsageError("give ids or --all, not both")
    if not ids and not everything:
        raise click.UsageError("give the ids of dead letters (see: streamix dlq ls), or --all")
    if selects and not everything:
        raise click.UsageError("--event, --reason, --ungrouped and --limit select from --all, not from ids")


def _confirm(planned: ReplayReport) -> None:
    """Say what and how many, and go on only if that is wanted."""
    counts = Counter((letter.event, letter.group) for letter in planned.replayed)
    note(f"To be replayed: {len(planned.replayed)} of {_asked(planned)} dead letters.")
    for (event, group), count in counts.most_common():
        note(f"  {count} × {event} to group {group}")
    if not (at_terminal(sys.stdin) and at_terminal(sys.stderr)):
        raise Failure(Exit.REFUSED, "nothing was replayed: nobody can be asked", "Add --yes if you are sure.")
    if not click.confirm("Replay them?", err=True):
        raise Failure(Exit.REFUSED, "nothing was replayed")


class _Lines:
    """Prints what became of each letter: at once with ndjson, at the end otherwise."""

    def __init__(self, output: str, *, dry_run: bool) -> None:
        self.replayed = 0
        self._output = output
        self._status = "would be replayed" if dry_run else "replayed"
        self._records: list[dict[str, Any]] = []

    def add(self, done: Replayed | Refused | str) -> None:
        line: dict[str, Any] = dict.fromkeys(("id", "status", "group", "event", "message_id", "why"))
        if isinstance(done, Replayed):
            self.replayed += 1
            line |= {"status": self._status, **asdict(done)}
        elif isinstance(done, Refused):
            line |= {"status": "refused", **asdict(done)}
        else:
            line |= {"id": done, "status": "not found"}
        if self._output == "ndjson":
            record(line)
        else:
            self._records.append(line)

    def finish(self) -> None:
        if self._output != "ndjson":
            table(self._output, _COLUMNS, self._records)


def _conclude(report: ReplayReport, *, by_id: bool) -> int:
    reasons: dict[str, list[str]] = {}
    for refusal in report.refused:
        reasons.setdefault(refusal.why, []).append(refusal.id)
    for why, ids in reasons.items():
        more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
        note(f"Not replayed: {', '.join(ids[:_IDS_SHOWN])}{more}: {why}.")
    for letter_id in report.missing[:_IDS_SHOWN] if by_id else []:
        note(
            f"Not found: {letter_id}. It was replayed or removed before, or never was (see: streamix dlq ls)."
        )
    if _asked(report) == 0:
        note("No dead letters match.")
    else:
        note(
            f"{'Would replay' if report.dry_run else 'Replayed'} {len(report.replayed)} of {_asked(report)}."
        )
    if by_id and report.missing:
        return Exit.NOT_FOUND
    return Exit.CONDITION if report.refused else Exit.OK


def _asked(report: ReplayReport) -> int:
    return len(report.replayed) + len(report.refused) + len(report.missing)
