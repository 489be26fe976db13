"""`streamix pause`."""

from __future__ import annotations

import click

from streamix_queue.admin import Control
from streamix_queue.cli.shared.choosing import chosen_group, require_events
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.name_completion import complete_events
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["pause"]

_COLUMNS = (
    Column("GROUP", "group"),
    Column("EVENT", "event", "cyan"),
    Column("PAUSED SINCE", "since"),
)


@click.command(
    epilog=examples(
        "streamix pause invoice.created --group billing",
        "streamix pause --group billing",
    )
)
@click.argument("events", metavar="[EVENT]...", nargs=-1, shell_complete=complete_events)
@stream_options
@group_option("In this group; may be left out if there is only one.")
@click.option("--force", is_flag=True, help="Also an event that no member of the group is known to handle.")
@output_option
def pause(
    *, events: tuple[str, ...], redis_url: str, stream: str, group: str | None, force: bool, output: str
) -> int:
    """Pause events of a group, or list the paused ones.

    No member of the group starts a handler for them from about a second later on, until
    `streamix resume`. What runs is finished; what waits is kept; other groups and other events go
    on. Without an EVENT it only lists.
    """
    with Control(redis_url, stream) as control:
        group = chosen_group(stream, control.groups(), group)
        if events and not force:
            advice = "Add --force to pause it all the same."
            require_events(group, control.events(group), events, advice)
        newly = control.pause(group, *dict.fromkeys(events))
        paused = control.paused(group)
    rows = [
        {"group": group, "event": event, "since": since.isoformat(timespec="seconds")}
        for event, since in paused.items()
        if event in events or not events
    ]
    table(output, _COLUMNS, rows)
    if events:
        already = len(set(events)) - newly
        note(f"Paused {newly}." + (f" {already} were paused before." if already else ""))
    elif not rows:
        note("Nothing is paused.")
    return Exit.OK
