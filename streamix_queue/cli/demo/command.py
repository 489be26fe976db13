"""`streamix demo`: what can become of a message, on a server of its own, printed as it happens."""

from __future__ import annotations

import logging

import click

from streamix_queue.cli.demo.walkthrough import Walkthrough
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.embedded import EmbeddedServer

__all__ = ["demo"]


@click.command()
def demo() -> int:
    """See a message go round, fail, and come back.

    Starts a server of its own, publishes events, handles them in two services, fails some on
    purpose, retries them, dead-letters one and replays it. Takes a few seconds and leaves nothing
    behind. Exit code 0 says that everything added up.
    """
    # What fails here fails on purpose, and is printed as a line of the demo.
    logging.getLogger("streamix_queue").setLevel(logging.CRITICAL + 1)
    with EmbeddedServer() as server:
        problems = Walkthrough(server).run()
    if problems:
        raise Failure(Exit.CONDITION, "it does not add up: " + "; ".join(problems))
    return Exit.OK
