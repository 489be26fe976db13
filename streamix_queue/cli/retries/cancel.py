"""`streamix retries cancel`."""

from __future__ import annotations

from typing import Any

import click

from streamix_queue.admin import Control
from streamix_queue.cli.retries.rows import as_row
from streamix_queue.cli.retries.selection import Selection, announce, select, selection_options
from streamix_queue.cli.shared.choosing import chosen_group
from streamix_queue.cli.shared.confirmation import confirm, yes_option
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["cancel"]

_COLUMNS = (
    Column("MESSAGE", "message_id", "cyan"),
    Column("STATUS", "status"),
    Column("EVENT", "event"),
    Column("RETRY", "retry"),
    Column("DEAD LETTER", "letter_id"),
)


@click.command(
    epilog=examples(
        "streamix retries cancel 3f0c2a4e-8d0f-4a57-9c55-0f6a5f7d1a11 --group billing --yes",
        "streamix retries cancel --all --event invoice.created --group billing --dry-run",
    )
)
@stream_options
@group_option("Those of this group; may be left out if there is only one.")
@selection_options
@click.option("--drop", is_flag=True, help="Remove them for good, without a dead letter.")
@click.option("--dry-run", is_flag=True, help="Only show what would be cancelled.")
@yes_option()
@output_option
def cancel(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    selection: Selection,
    drop: bool,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Cancel retries: they become dead letters.

    Each leaves the waiting set in the same step in which its dead letter is written, with the
    reason 'rejected', so nothing is lost: `streamix dlq replay` brings it back. Only --drop
    removes for good.
    """
    with Control(redis_url, stream) as control:
        group = chosen_group(stream, control.groups(), group)
        selected = select(control, group, selection)
        if selected.retries and not (dry_run or yes):
            announce(selected, "dropped for good" if drop else "cancelled")
            confirm("Go on?", "nothing was cancelled")
        lines: list[dict[str, Any]] = []
        if dry_run:
            status = "would be dropped" if drop else "would be cancelled"
            lines += (
                {**as_row(retry, group), "status": status, "letter_id": None} for retry in selected.retries
            )
        else:
            for ended in control.cancel(group, selected.retries, drop=drop):
                status = ("dropped" if drop else "cancelled") if ended.there else "gone"
                letter_id = ended.letter_id or None
                lines.append({**as_row(ended.retry, group), "status": status, "letter_id": letter_id})
    table(output, _COLUMNS, lines)
    done = sum(line["status"] != "gone" for line in lines)
    what = "drop" if drop else "cancel"
    said = f"Would {what}" if dry_run else ("Dropped" if drop else "Cancelled")
    note(f"{said} {done} of {selected.asked}.")
    return Exit.NOT_FOUND if selected.missing else Exit.OK
