"""The service that the examples beside this file deploy: configured from outside, field by field."""

from __future__ import annotations

from streamix_queue import Consumer
from streamix_queue.settings import Settings

consumer = Consumer(**Settings.load().consumer_options())


@consumer.on("order.placed")
def charge(order: dict[str, int]) -> None:
    """Put your own work here."""
    print("charged", order.get("amount"), flush=True)  # noqa: T201 - an example may
