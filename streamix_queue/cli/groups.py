"""`streamix groups`."""

from __future__ import annotations

from typing import Any

import click

from streamix_queue.admin import GroupSight, Inspector
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["groups"]

_COLUMNS = (
    Column("GROUP", "group", "cyan"),
    Column("CONSUMERS", "consumers"),
    Column("PENDING", "pending"),
    Column("LAG", "lag_shown"),
    Column("LAST DELIVERED", "last_delivered_id"),
    Column("READ", "entries_read", wide=True),
)


@click.command(epilog=examples("streamix groups", "streamix groups -o json"))
@stream_options
@output_option
def groups(*, redis_url: str, stream: str, output: str) -> int:
    """List the consumer groups of the stream.

    LAG is what was not delivered yet. Where Redis does not know it, it is counted up to 10,000,
    and 10000+ says that there are more.
    """
    with Inspector(redis_url, stream) as inspector:
        if not table(output, _COLUMNS, map(_as_row, inspector.groups())):
            note("The stream has no groups.")
    return Exit.OK


def _as_row(sight: GroupSight) -> dict[str, Any]:
    found = {"group": sight.name, **vars(sight)}
    del found["name"]
    return {**found, "lag_shown": f"{sight.lag}{'' if sight.lag_exact else '+'}"}
