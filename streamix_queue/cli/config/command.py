"""`streamix config`: what is set, and where."""

from __future__ import annotations

import click

from streamix_queue.cli.shared.lazy_group import LazyGroup, Verb

__all__ = ["VERBS", "config"]

VERBS = {
    "show": Verb("streamix_queue.cli.config.show:show"),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def config() -> None:
    """See what is set, and where."""
