"""`streamix retries list`."""

from __future__ import annotations

from itertools import islice

import click

from streamix_queue.admin import Control
from streamix_queue.cli.retries.rows import as_row
from streamix_queue.cli.retries.selection import look_at_option
from streamix_queue.cli.shared.choosing import chosen_group
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["list_"]

_COLUMNS = (
    Column("MESSAGE", "message_id", "cyan"),
    Column("EVENT", "event"),
    Column("RETRY", "retry"),
    Column("DUE AT", "due_at"),
    Column("ERROR", "error", shrinks=True),
)


@click.command(
    "list",
    epilog=examples(
        "streamix retries list --group billing",
        "streamix retries list --event invoice.created -o ndjson | jq .error",
    ),
)
@stream_options
@group_option("Those of this group; may be left out if there is only one.")
@click.option("--event", metavar="NAME", help="Those of this event.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most so many."
)
@look_at_option
@output_option
def list_(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    event: str | None,
    limit: int,
    look_at: int,
    output: str,
) -> int:
    """List the retries that wait, the next due first."""
    with Control(redis_url, stream) as control:
        group = chosen_group(stream, control.groups(), group)
        found = control.retries(group, event=event, look_at=look_at)
        count = table(output, _COLUMNS, (as_row(retry, group) for retry in islice(found, limit)))
        waiting = control.count_retries(group)
    if count == limit < waiting:
        note(f"The next {count} are shown, {waiting} wait; --limit shows more.")
    elif waiting > look_at and event is not None:
        note(f"The next {look_at} of {waiting} were looked at; --look-at looks further.")
    elif count == 0:
        note("No retries match." if event is not None else "No retries wait.")
    return Exit.OK
