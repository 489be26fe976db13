"""`streamix retries`: the retries of a group that wait for their time."""

from __future__ import annotations

import click

from streamix_queue.cli.shared.lazy_group import LazyGroup, Verb

__all__ = ["VERBS", "retries"]

VERBS = {
    "list": Verb("streamix_queue.cli.retries.list:list_"),
    "now": Verb("streamix_queue.cli.retries.now:now"),
    "cancel": Verb("streamix_queue.cli.retries.cancel:cancel"),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def retries() -> None:
    """Look at the retries that wait, run them now, or cancel them."""
