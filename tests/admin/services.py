"""Services that fail until they are mended, for tests that want dead letters of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import msgspec
import redis

from streamix_queue import Consumer, StreamMessage
from streamix_queue.admin import Admin, DeadLetterEntry
from streamix_queue.core.attempt import Attempt
from tests.support.members import Handler, eventually, member

__all__ = ["EVENT", "Service", "letter_of_0_1_0", "letters", "running"]

EVENT = "order.placed"


class Service:
    """A consumer of one event, in a group of its own.

    Attributes:
        broken: While it is, its handler fails, and without a retry.
        handler: Saw every call, whether it failed or not.
        extras: The fields that came beside each message, in the order of the calls.
    """

    def __init__(self, url: str, stream: str, group: str, *, broken: bool = False, **options: Any) -> None:
        self.broken = broken
        self.handler = Handler(self._act)
        self.extras: list[tuple[bytes, ...]] = []
        self.consumer: Consumer = member(url, stream, group, retry_limit=0, interceptors=[self], **options)
        self.consumer.on(EVENT, self.handler)

    def _act(self, data: dict[str, Any], message: StreamMessage) -> None:
        if self.broken:
            raise RuntimeError(f"{data} does not suit us")

    def processing(self, attempt: Attempt) -> AbstractContextManager[None]:
        self.extras.append(attempt.extras)
        return nullcontext()


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """The services run inside of this."""
    with ExitStack() as stack:
        for service in services:
            stack.enter_context(service.consumer)
        yield


def letters(admin: Admin, count: int) -> list[DeadLetterEntry]:
    """The dead letters, once there are so many."""
    eventually(lambda: admin.count_dead_letters() >= count, what=f"{count} dead letters")
    found = list(admin.dead_letters())
    assert len(found) == count
    return found


def letter_of_0_1_0(client: redis.Redis, stream: str, source_id: str, data: dict[str, Any]) -> str:
    """Add a dead letter as 0.1.0 wrote it; its id."""
    envelope = {
        "id": "11111111-1111-4111-8111-111111111111",
        "event": EVENT,
        "data": {
            "original_id": "22222222-2222-4222-8222-222222222222",
            "original_event": EVENT,
            "original_data": data,
            "source_stream_id": source_id,
            "retries": 3,
            "error": "no such user",
        },
        "retries": 3,
        "timestamps": {"created_at": "2026-04-01T10:00:00+00:00", "updated_at": "2026-04-01T10:00:00+00:00"},
    }
    entry_id: Any = client.xadd(f"{stream}:failed", {"message": msgspec.json.encode(envelope)})
    return str(entry_id.decode())
