"""`streamix consumers`."""

from __future__ import annotations

from typing import Any

import click

from streamix_queue.admin import Inspector
from streamix_queue.cli.shared.choosing import chosen_groups
from streamix_queue.cli.shared.durations import in_words
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["consumers"]

_COLUMNS = (
    Column("CONSUMER", "consumer", "cyan"),
    Column("GROUP", "group"),
    Column("PENDING", "pending"),
    Column("OF INBOXES", "inbox_pending"),
    Column("IDLE", "idle"),
    Column("INACTIVE S", "inactive_s", wide=True),
)


@click.command(epilog=examples("streamix consumers --group billing", "streamix consumers -o ndjson"))
@stream_options
@group_option("Those of this group; all groups without it.")
@output_option
def consumers(*, redis_url: str, stream: str, group: str | None, output: str) -> int:
    """List the members of a group.

    PENDING is what each holds of the stream, OF INBOXES what it holds of the group's retries,
    replays and hand-overs. IDLE is how long ago it last asked Redis for work: a member that
    runs is hardly ever idle for more than some seconds.
    """
    with Inspector(redis_url, stream) as inspector:
        found: list[dict[str, Any]] = []
        for name in chosen_groups(inspector.group_names(), group):
            for member in inspector.consumers(name):
                facts = vars(member)
                row = {"group": name, "consumer": member.name, **facts, "idle": in_words(member.idle_s)}
                del row["name"]
                found.append(row)
        if not table(output, _COLUMNS, found):
            note("There are no consumers.")
    return Exit.OK
