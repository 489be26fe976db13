"""Fixtures of the tests of `streamix retries`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from streamix_queue.core.keys import Keys
from tests.admin.waiting import FAR_MS, GROUP, handled, put_retry
from tests.support.servers import Server


@pytest.fixture
def keys(stream: str) -> Keys:
    return Keys(stream, GROUP)


@pytest.fixture
def client(any_server: Server, keys: Keys) -> Iterator[redis.Redis]:
    """Of a group in which three retries wait: first, second (of another event), third."""
    with any_server.client() as client:
        handled(client, keys)
        put_retry(client, keys, "first")
        put_retry(client, keys, "second", due_ms=FAR_MS + 1, event="other")
        put_retry(client, keys, "third", due_ms=FAR_MS + 2)
        yield client
