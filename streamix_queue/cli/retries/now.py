"""`streamix retries now`."""

from __future__ import annotations

import click

from streamix_queue.admin import Control
from streamix_queue.cli.retries.rows import as_row
from streamix_queue.cli.retries.selection import Selection, announce, select, selection_options
from streamix_queue.cli.shared.choosing import chosen_group
from streamix_queue.cli.shared.confirmation import confirm, yes_option
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["now"]

_COLUMNS = (
    Column("MESSAGE", "message_id", "cyan"),
    Column("STATUS", "status"),
    Column("EVENT", "event"),
    Column("RETRY", "retry"),
)


@click.command(
    epilog=examples(
        "streamix retries now 3f0c2a4e-8d0f-4a57-9c55-0f6a5f7d1a11 --group billing",
        "streamix retries now --all --event invoice.created --group billing --yes",
    )
)
@stream_options
@group_option("Those of this group; may be left out if there is only one.")
@selection_options
@click.option("--dry-run", is_flag=True, help="Only show what would be run.")
@yes_option("Do not ask before running --all.")
@output_option
def now(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    selection: Selection,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Run retries now, and not when they are due.

    The group takes them within about a second. Their number of attempts stays as it is: one that
    fails again waits again, or is dead-lettered if it was the last.
    """
    with Control(redis_url, stream) as control:
        group = chosen_group(stream, control.groups(), group)
        selected = select(control, group, selection)
        if selection.everything and selected.retries and not (dry_run or yes):
            announce(selected, "run now")
            confirm("Run them now?", "nothing was changed")
        done = selected.retries if dry_run else control.run_now(group, selected.retries)
    there = {retry.member for retry in done}
    does = "would be run" if dry_run else "due now"
    table(
        output,
        _COLUMNS,
        [
            {**as_row(retry, group), "status": does if retry.member in there else "gone"}
            for retry in selected.retries
        ],
    )
    note(f"{'Would run' if dry_run else 'Due now:'} {len(done)} of {selected.asked}.")
    return Exit.NOT_FOUND if selected.missing else Exit.OK
