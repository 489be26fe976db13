"""`streamix pending`."""

from __future__ import annotations

from typing import Any

import click

from streamix_queue.admin import Inspector
from streamix_queue.cli.shared.choosing import chosen_group, not_found, require_events
from streamix_queue.cli.shared.durations import duration_ms, in_words
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["pending"]

_COLUMNS = (
    Column("ID", "id", "cyan"),
    Column("INBOX OF", "event"),
    Column("CONSUMER", "consumer"),
    Column("IDLE", "idle"),
    Column("DELIVERIES", "deliveries"),
    Column("IDLE S", "idle_s", wide=True),
)


@click.command(
    epilog=examples(
        "streamix pending --group billing --min-idle 5m",
        "streamix pending --group billing --consumer worker-1 -o ndjson",
    )
)
@stream_options
@group_option("The group; may be left away if there is only one.")
@click.option(
    "--min-idle", type=duration_ms, default="0", metavar="TIME", help="Idle for 30s, 5m, 1h or more."
)
@click.option("--consumer", metavar="NAME", help="What this member holds.")
@click.option("--event", metavar="NAME", help="Of the group's inbox of this event only.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most so many."
)
@output_option
def pending(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    min_idle: int,
    consumer: str | None,
    event: str | None,
    limit: int,
    output: str,
) -> int:
    """List what was delivered and is not settled.

    The oldest first: of the stream, then of the group's inboxes (retries, replays, hand-overs).
    Of each it looks at the oldest 20,000, and says so if there are more.
    """
    with Inspector(redis_url, stream) as inspector:
        group = chosen_group(stream, inspector.group_names(), group)
        if event is not None:
            require_events(group, inspector.events(group), [event])
        if consumer is not None:
            members = [member.name for member in inspector.consumers(group)]
            if consumer not in members:
                not_found(f"group {group!r} has no consumer {consumer!r}", consumer, members, "consumers")
        page = inspector.pending(group, event=event, consumer=consumer, min_idle_ms=min_idle, limit=limit)
    records: list[dict[str, Any]] = [
        {"group": group, **vars(entry), "idle": in_words(entry.idle_s)} for entry in page.entries
    ]
    if not table(output, _COLUMNS, records):
        note("Nothing is pending." if not (min_idle or consumer or event) else "Nothing pending matches.")
    if page.more:
        note(f"The oldest {limit} are shown; --limit shows more.")
    elif not page.complete:
        note("There is more: only the oldest 20000 of each stream were looked at.")
    return Exit.OK
