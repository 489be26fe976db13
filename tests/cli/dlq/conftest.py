"""Fixtures of the tests of `streamix dlq`."""

from __future__ import annotations

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.servers import Server

RAW = b"\x1b]0;owned\x07\xff"


@pytest.fixture
def five_letters(any_server: Server, stream: str) -> list[str]:
    """Ids of dead letters: three of billing that failed alike, one of 0.1.0, one that is none."""
    client = any_server.client()
    with Admin(any_server.url, stream) as admin, Publisher(any_server.url, stream) as publisher:
        publisher.publish_many((EVENT, {"n": n}) for n in range(3))
        with running(Service(any_server.url, stream, "billing", broken=True)):
            letters(admin, 3)
        letter_of_0_1_0(client, stream, "1-0", {"n": 3, "text": "\x1b[2J"})
        client.xadd(f"{stream}:failed", {"message": RAW})
        return [letter.id for letter in admin.dead_letters()]
