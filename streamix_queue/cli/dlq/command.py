"""`streamix dlq`: the dead letters of a stream."""

from __future__ import annotations

import click

from streamix_queue.cli.shared.lazy_group import LazyGroup, Verb

__all__ = ["VERBS", "dlq"]

VERBS = {
    "ls": Verb("streamix_queue.cli.dlq.ls:ls"),
    "show": Verb("streamix_queue.cli.dlq.show:show"),
    "stats": Verb("streamix_queue.cli.dlq.stats:stats"),
    "replay": Verb("streamix_queue.cli.dlq.replay:replay"),
    "export": Verb("streamix_queue.cli.dlq.export:export"),
    "purge": Verb("streamix_queue.cli.dlq.purge:purge"),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def dlq() -> None:
    """Look at dead letters, and replay them."""
