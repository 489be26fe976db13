"""A stream with groups that lag and hold entries, on every kind of server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamix_queue.admin import Inspector
from streamix_queue.core.keys import Keys
from tests.support.servers import Server


@pytest.fixture
def keys(stream: str) -> Keys:
    return Keys(stream, "billing")


@pytest.fixture
def filled(server: Server, keys: Keys) -> Keys:
    """Ten entries: of the stream w1 holds 3 and w2 holds 2, and w1 holds 2 of 3 in an inbox."""
    inbox = keys.inbox("order.placed")
    with server.client() as client:
        for n in range(1, 11):
            client.xadd(keys.stream, {"message": "{}"}, id=f"{n}-0")
        for group in (keys.group, b"mailer"):
            client.xgroup_create(keys.stream, group, id="0")
        client.xreadgroup(keys.group, "w1", {keys.stream: ">"}, count=3)
        client.xreadgroup(keys.group, "w2", {keys.stream: ">"}, count=2)
        client.zadd(keys.handlers, {"order.placed": 1})
        client.xgroup_create(inbox, keys.group, id="0", mkstream=True)
        for n in range(1, 4):
            client.xadd(inbox, {"message": "{}"}, id=f"{n}-0")
        client.xreadgroup(keys.group, "w1", {inbox: ">"}, count=2)
    return keys


@pytest.fixture
def inspector(server: Server, stream: str) -> Iterator[Inspector]:
    with Inspector(server.url, stream) as inspector:
        yield inspector
