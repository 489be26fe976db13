"""`streamix retries`: the retries of a group that wait for their time."""

from __future__ import annotations

import click

from streamix_queue.cli.shared.lazy_group import LazyGroup, Verb

__all__ = ["VERBS", "retries"]

VERBS = {
    "list": Verb("streamix_queue.cli.retries.list:list_", "List the retries that wait, the next due first."),
    "now": Verb("streamix_queue.cli.retries.now:now", "Run retries now, and not when they are due."),
    "cancel": Verb("streamix_queue.cli.retries.cancel:cancel", "Cancel retries: they become dead letters."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def retries() -> None:
    """Look at the retries that wait, run them now, or cancel them."""
