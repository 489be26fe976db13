"""`streamix dlq purge`."""

from __future__ import annotations

import click

from streamix_queue.admin import Admin, DeadLetterFilter, PurgeReport
from streamix_queue.cli.dlq.audit import audit_option
from streamix_queue.cli.dlq.selection import Selection, filter_options
from streamix_queue.cli.shared.confirmation import confirm, yes_option
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table
from streamix_queue.core.errors import BrokerError

__all__ = ["purge"]

_COLUMNS = (
    Column("STATUS", "status"),
    Column("COUNT", "count"),
    Column("EVENT", "event"),
    Column("GROUP", "group"),
)


@click.command(
    epilog=examples(
        "streamix dlq purge --older-than 30d --dry-run",
        "streamix dlq purge --older-than 30d --group billing --yes",
    )
)
@stream_options
@click.option("--all", "everything", is_flag=True, help="All there are, if no option selects.")
@group_option("Those of this group; alone it selects nothing.")
@filter_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The oldest so many.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@yes_option()
@audit_option
@output_option
def purge(
    *,
    redis_url: str,
    stream: str,
    everything: bool,
    group: str | None,
    selection: Selection,
    limit: int | None,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Remove dead letters for good.

    They are counted first, and none goes that was not counted. To keep a copy: streamix dlq export.
    """
    if not selection and not everything:
        # A group does not select by itself: it may come from the environment, unnoticed.
        raise click.UsageError("say which with --older-than or another option, or --all (with --group)")
    with Admin(redis_url, stream) as admin:
        which = selection.filter(admin, group)
        planned = admin.purge(which, limit=limit, dry_run=True)
        if not planned.removed:
            table(output, _COLUMNS, [])
            note("No dead letters match.")
            return Exit.OK
        if dry_run:
            done = planned
        else:
            if not yes:
                _confirm(planned)
            done = _purge(admin, which, limit, planned)
    status = "would be removed" if dry_run else "removed"
    table(
        output,
        _COLUMNS,
        [
            {"status": status, "count": count, "event": event, "group": of or None}
            for (event, of), count in done.counts.most_common()
        ],
    )
    note(f"{'Would remove' if dry_run else 'Removed'} {done.removed} of {planned.removed}.")
    return Exit.OK


def _confirm(planned: PurgeReport) -> None:
    """Say what and how many, and go on only if that is wanted."""
    note(f"To be removed for good: {planned.removed} dead letters.")
    for (event, group), count in planned.counts.most_common():
        note(f"  {count} × {event} of group {group or '-'}")
    confirm("Remove them?", "nothing was removed")


def _purge(admin: Admin, which: DeadLetterFilter, limit: int | None, planned: PurgeReport) -> PurgeReport:
    removed = 0

    def add(count: int) -> None:
        nonlocal removed
        removed += count

    try:
        return admin.purge(which, limit=limit, up_to=planned.last_id, progress=add)
    except (BrokerError, KeyboardInterrupt):
        note(f"Stopped after {removed} removed. Run it again for the rest.")
        raise
