"""`streamix retries now`."""

from __future__ import annotations

import click

from streamix_queue.admin import Control
from streamix_queue.cli.retries.selection import choose, choosing_options, conclude, shown, told
from streamix_queue.cli.shared.confirmation import confirm, known_group
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import (
    examples,
    group_option,
    output_option,
    redis_url_option,
    stream_option,
)
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
@click.argument("ids", metavar="[MESSAGE_ID]...", nargs=-1)
@redis_url_option
@stream_option
@group_option("Those of this group; may be left out if there is only one.")
@choosing_options
@click.option("--dry-run", is_flag=True, help="Only show what would be run.")
@click.option("--yes", is_flag=True, help="Do not ask before running --all.")
@output_option
def now(
    *,
    ids: tuple[str, ...],
    redis_url: str,
    stream: str,
    group: str | None,
    everything: bool,
    event: str | None,
    look_at: int,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Run retries now, and not when they are due.

    The group takes them within about a second. Their number of attempts stays as it is: one that
    fails again waits again, or is dead-lettered if it was the last.
    """
    with Control(redis_url, stream) as control:
        group = known_group(control, group)
        chosen = choose(control, group, ids, everything=everything, event=event, look_at=look_at)
        conclude(chosen)
        if everything and chosen.retries and not (dry_run or yes):
            told(chosen, "run now")
            confirm("Run them now?", "nothing was changed")
        done = chosen.retries if dry_run else control.run_now(group, chosen.retries)
    there = {retry.member for retry in done}
    does = "would be run" if dry_run else "due now"
    table(
        output,
        _COLUMNS,
        [
            {**shown(retry, group), "status": does if retry.member in there else "gone"}
            for retry in chosen.retries
        ],
    )
    asked = len(chosen.retries) + len(chosen.missing)
    note(f"{'Would run' if dry_run else 'Due now:'} {len(done)} of {asked}.")
    return Exit.NOT_FOUND if chosen.missing else Exit.OK
