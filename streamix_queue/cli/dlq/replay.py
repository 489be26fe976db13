"""`streamix dlq replay`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from streamix_queue.admin import (
    Admin,
    Refused,
    Replayed,
    ReplayInterrupted,
    ReplayReport,
)
from streamix_queue.cli.dlq.audit import audit_option
from streamix_queue.cli.dlq.edit import edit_payload
from streamix_queue.cli.dlq.selection import Selection, filter_options
from streamix_queue.cli.shared.choosing import require_group
from streamix_queue.cli.shared.confirmation import confirm, yes_option
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, at_terminal, note, record, table

__all__ = ["replay"]

_COLUMNS = (
    Column("ID", "id", "cyan"),
    Column("STATUS", "status"),
    Column("GROUP", "group"),
    Column("EVENT", "event"),
    Column("MESSAGE", "message_id"),
)
_IDS_SHOWN = 3
_DRAW_EVERY_S = 0.1


@click.command(
    epilog=examples(
        "streamix dlq replay 1713982500001-0",
        "streamix dlq replay --all --group billing --reason crash --dry-run",
        "streamix dlq replay --all --fingerprint 3f9c1d20ab --rate 500 --yes",
        "streamix dlq replay 1713982500001-0 --edit",
        "streamix dlq replay --all --ungrouped --group billing --yes",
    )
)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@stream_options
@click.option(
    "--all", "everything", is_flag=True, help="All that the options below select, or all there are."
)
@group_option("With --all: those of this group. Else: where those failed that name no group.")
@filter_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="With --all: the oldest so many.")
@click.option(
    "--rate", type=click.FloatRange(0.001, 1_000_000), metavar="N", help="So many per second, evenly."
)
@click.option(
    "--max-replays",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Leave alone what was replayed so often and failed each time.",
)
@click.option(
    "--canary",
    type=click.IntRange(0, 1000),
    default=0,
    metavar="N",
    help="Replay so many, wait for the end of each, and stop if one fails again.",
)
@click.option(
    "--canary-timeout",
    type=duration_ms,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="How long they may take for that.",
)
@click.option("--edit", is_flag=True, help="Change the payload of one letter in $EDITOR first.")
@click.option("--unhandled", is_flag=True, help="Also what no member of the group is known to handle.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@yes_option()
@audit_option
@output_option
def replay(
    *,
    ids: tuple[str, ...],
    redis_url: str,
    stream: str,
    everything: bool,
    group: str | None,
    selection: Selection,
    limit: int | None,
    rate: float | None,
    max_replays: int,
    edit: bool,
    canary: int,
    canary_timeout: int,
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
    _check(ids, everything, selects=bool(selection or limit), edit=edit)
    if selection.ungrouped and not group:
        raise click.UsageError("--ungrouped: say with --group where those failed that name no group")
    with Admin(redis_url, stream) as admin:
        which = selection.filter(admin, group) if everything else ids
        to = group if selection.ungrouped or ids else None
        if to:
            require_group(admin.groups(), to)
        send = partial(
            admin.replay,
            which,
            group=to,
            limit=limit,
            unhandled=unhandled,
            rate=rate,
            max_replays=max_replays,
            canary=canary,
            canary_timeout_ms=canary_timeout,
            edit=edit_payload(admin, ids[0]) if edit else None,
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


def _check(ids: tuple[str, ...], everything: bool, *, selects: bool, edit: bool) -> None:
    if ids and everything:
        raise click.UsageError("give ids or --all, not both")
    if not ids and not everything:
        raise click.UsageError("give the ids of dead letters (see: streamix dlq ls), or --all")
    if selects and not everything:
        raise click.UsageError("--event, --limit and the like select from --all, not from ids")
    if edit and len(ids) != 1:
        raise click.UsageError("--edit: give the id of one dead letter")


def _confirm(planned: ReplayReport) -> None:
    """Say what and how many, and go on only if that is wanted."""
    counts = Counter((letter.event, letter.group) for letter in planned.replayed)
    note(f"To be replayed: {len(planned.replayed)} of {_asked(planned)} dead letters.")
    for (event, group), count in counts.most_common():
        note(f"  {count} × {event} to group {group}")
    confirm("Replay them?", "nothing was replayed")


class _Lines:
    """Prints what became of each letter: at once with ndjson, at the end otherwise."""

    def __init__(self, output: str, *, dry_run: bool) -> None:
        self.replayed = 0
        self._output = output
        self._status = "would be replayed" if dry_run else "replayed"
        self._records: list[dict[str, Any]] = []
        self._counter = _Counter()

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
            self._counter.show(len(self._records))

    def finish(self) -> None:
        self._counter.clear()
        if self._output != "ndjson":
            table(self._output, _COLUMNS, self._records)


class _Counter:
    """How far it is, on one line of a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        self._drawn_at = 0.0
        self._draws = at_terminal(sys.stderr)

    def show(self, count: int) -> None:
        now = time.monotonic()
        if self._draws and now - self._drawn_at >= _DRAW_EVERY_S:
            self._drawn_at = now
            click.echo(f"\r{count} done ", err=True, nl=False)

    def clear(self) -> None:
        if self._drawn_at:
            self._drawn_at = 0.0
            click.echo("\r" + " " * 20 + "\r", err=True, nl=False)


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
    if report.stopped:
        note(f"Stopped after the canaries: {report.stopped}. The others are where they were.")
    if by_id and report.missing:
        return Exit.NOT_FOUND
    return Exit.CONDITION if report.refused or report.stopped else Exit.OK


def _asked(report: ReplayReport) -> int:
    return len(report.replayed) + len(report.refused) + len(report.missing)
