"""What several tests of telemetry set in motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streamix_queue import Consumer, Publisher, StreamMessage
from tests.support.members import Handler, member
from tests.support.servers import Server

__all__ = ["EVENT", "HANDLER", "consuming", "fail_until", "publish"]

EVENT = "order.placed"
HANDLER = "tests.support.members.Handler"


def fail_until(attempt: int) -> Handler:
    """A handler that succeeds from this attempt on."""

    def act(data: dict[str, Any], message: StreamMessage) -> None:
        if message.retries + 1 < attempt:
            raise ValueError(f"attempt {message.retries + 1} fails")

    return Handler(act)


@contextmanager
def consuming(
    server: Server, stream: str, handler: Callable[..., Any], group: str = "g", **options: Any
) -> Iterator[Consumer]:
    """A consumer of one event, from the start to the last settlement."""
    consumer = member(server.url, stream, group, **options)
    consumer.on(EVENT, handler)
    with consumer:
        yield consumer


def publish(server: Server, stream: str, count: int = 1) -> list[StreamMessage]:
    with Publisher(server.url, stream) as publisher:
        return [publisher.publish(EVENT, {"n": n}) for n in range(count)]
