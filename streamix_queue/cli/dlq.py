"""`streamix dlq`: the dead letters of a stream."""

from __future__ import annotations

import click

from streamix_queue.cli.lazy import LazyGroup, Verb

__all__ = ["VERBS", "dlq"]

VERBS = {
    "ls": Verb("streamix_queue.cli.dlq_ls:ls", "List dead letters, the newest first."),
    "replay": Verb("streamix_queue.cli.dlq_replay:replay", "Send dead letters back to where they failed."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def dlq() -> None:
    """Look at dead letters, and replay them."""
