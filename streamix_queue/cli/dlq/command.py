"""`streamix dlq`: the dead letters of a stream."""

from __future__ import annotations

import click

from streamix_queue.cli.shared.lazy_group import LazyGroup, Verb

__all__ = ["VERBS", "dlq"]

VERBS = {
    "ls": Verb("streamix_queue.cli.dlq.ls:ls", "List dead letters, the newest first."),
    "show": Verb("streamix_queue.cli.dlq.show:show", "Show a dead letter whole, its payload included."),
    "stats": Verb("streamix_queue.cli.dlq.stats:stats", "Count dead letters by how they failed."),
    "replay": Verb("streamix_queue.cli.dlq.replay:replay", "Send dead letters back to where they failed."),
    "export": Verb(
        "streamix_queue.cli.dlq.export:export",
        "Write dead letters whole, a line of JSON each, the oldest first.",
    ),
    "purge": Verb("streamix_queue.cli.dlq.purge:purge", "Remove dead letters for good."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def dlq() -> None:
    """Look at dead letters, and replay them."""
