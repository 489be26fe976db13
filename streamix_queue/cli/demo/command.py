"""`streamix demo`: the whole life of a message on a server of its own, told as it happens."""

from __future__ import annotations

import logging

import click

from streamix_queue.cli.shared.exits import Exit, Failure

__all__ = ["demo"]


@click.command()
def demo() -> int:
    """See a message go round, fail, and come back.

    Starts a server of its own, publishes events, handles them in two services, fails some on
    purpose, retries them, dead-letters one and replays it. Takes a few seconds and leaves nothing
    behind. Exit code 0 says that everything added up.
    """
    from streamix_queue.cli.demo.walkthrough import Story  # noqa: PLC0415 - loads redis-py, which takes a while
    from streamix_queue.embedded import EmbeddedServer  # noqa: PLC0415

    # What goes wrong here goes wrong on purpose, and is told in the story.
    logging.getLogger("streamix_queue").setLevel(logging.CRITICAL + 1)
    with EmbeddedServer() as server:
        problems = Story(server).tell()
    if problems:
        raise Failure(Exit.CONDITION, "it does not add up: " + "; ".join(problems))
    return Exit.OK
