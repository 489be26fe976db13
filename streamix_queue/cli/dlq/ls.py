"""`streamix dlq ls`."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from streamix_queue.admin import Admin, DeadLetterEntry, DeadLetterFilter
from streamix_queue.cli.dlq.selection import Selection, filter_options
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table
from streamix_queue.core.redact import redact_text

__all__ = ["ls"]

_COLUMNS = (
    Column("ID", "id", "cyan"),
    Column("GROUP", "group"),
    Column("EVENT", "event"),
    Column("REASON", "reason", "red"),
    Column("RETRIES", "retries"),
    Column("FAILED AT", "failed_at"),
    Column("ERROR", "error", shrinks=True),
)


@click.command(
    epilog=examples(
        "streamix dlq ls --group billing --reason crash",
        "streamix dlq ls -o ndjson --limit 1000 | jq .error",
    )
)
@stream_options
@group_option("Those of this group.")
@filter_options
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most so many."
)
@output_option
def ls(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    selection: Selection,
    limit: int,
    output: str,
) -> int:
    """List dead letters, the newest first."""
    with Admin(redis_url, stream) as admin:
        which = selection.filter(admin, group)
        # One more than is shown, to know whether there are more.
        letters = admin.dead_letters(**vars(which), limit=limit + 1, newest_first=True)
        count = table(output, _COLUMNS, map(_as_row, islice(letters, limit)))
        if next(letters, None) is not None:
            note(f"The newest {count} are shown; --limit shows more.")
        elif count == 0:
            note("No dead letters match." if which != DeadLetterFilter() else "No dead letters.")
    return Exit.OK


def _as_row(entry: DeadLetterEntry) -> dict[str, Any]:
    """Without the payload: it may be large, and private."""
    return {
        "id": entry.id,
        "fingerprint": entry.fingerprint,
        "group": entry.group or None,
        "event": entry.event,
        "reason": entry.reason,
        "error": redact_text(entry.error),
        "error_type": entry.error_type or None,
        "retries": entry.retries,
        "replays": entry.replays,
        "failed_at": entry.failed_at or None,
        "message_id": entry.message_id or None,
    }
