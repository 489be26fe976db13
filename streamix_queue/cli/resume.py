"""`streamix resume`."""

from __future__ import annotations

import click

from streamix_queue.admin import Control
from streamix_queue.cli.shared.choosing import chosen_group, require_events
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.name_completion import complete_events
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["resume"]

_COLUMNS = (
    Column("GROUP", "group"),
    Column("EVENT", "event", "cyan"),
    Column("STATUS", "status"),
)


@click.command(
    epilog=examples(
        "streamix resume invoice.created --group billing",
        "streamix resume --all --group billing",
    )
)
@click.argument("events", metavar="[EVENT]...", nargs=-1, shell_complete=complete_events)
@stream_options
@group_option("In this group; may be left out if there is only one.")
@click.option("--all", "everything", is_flag=True, help="All that is paused.")
@output_option
def resume(
    *, events: tuple[str, ...], redis_url: str, stream: str, group: str | None, everything: bool, output: str
) -> int:
    """Resume paused events of a group.

    Its members take what has waited within about a second. An event that is handled but not
    paused is no error.
    """
    if bool(events) == everything:
        raise click.UsageError("give the events (see: streamix pause), or --all")
    with Control(redis_url, stream) as control:
        group = chosen_group(stream, control.groups(), group)
        paused = control.paused(group)
        if not everything:
            known = sorted({*paused, *control.events(group)})
            require_events(group, known, events, "streamix pause  lists what is paused.")
        chosen = tuple(paused) if everything else tuple(dict.fromkeys(events))
        resumed = control.resume(group, *chosen)
    table(
        output,
        _COLUMNS,
        [
            {"group": group, "event": event, "status": "resumed" if event in paused else "was not paused"}
            for event in chosen
        ],
    )
    note(f"Resumed {resumed}.")
    return Exit.OK
