"""Each class for operators has one connection, whatever it is asked, and opens it only when asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from streamix_queue.admin import Admin, Control, DeadLetterFilter, Inspector, Storyteller, examine
from streamix_queue.core.keys import Keys
from tests.admin.services import EVENT, letter_of_0_1_0
from tests.admin.waiting import GROUP, handled, put_retry
from tests.support.members import eventually
from tests.support.servers import Server

UUID = "6f1c1f6e-5f0e-4c53-9a35-3d7a8a4f6a0e"


def _story(teller: Storyteller) -> None:
    teller.story(UUID)
    teller.story("1775037600000-0")


def _inspect(inspector: Inspector) -> None:
    inspector.groups()
    inspector.outline()
    inspector.consumers(GROUP)
    inspector.pending(GROUP)
    inspector.lag(GROUP)
    inspector.last_id()
    list(inspector.newest())


def _administer(admin: Admin) -> None:
    admin.groups()
    admin.fingerprints()
    admin.replay(DeadLetterFilter(), group=GROUP, unhandled=True, canary=1, canary_timeout_ms=1)
    admin.purge(DeadLetterFilter())


def _control(control: Control) -> None:
    control.pause(GROUP, EVENT)
    control.resume(GROUP, EVENT)
    control.trim()
    list(control.cancel(GROUP, control.retries(GROUP)))


@pytest.mark.parametrize(
    ("make", "ask"),
    [(Storyteller, _story), (Inspector, _inspect), (Admin, _administer), (Control, _control)],
    ids=["Storyteller", "Inspector", "Admin", "Control"],
)
def test_one_connection_serves_all_questions(
    any_server: Server, stream: str, make: Callable[[str, str], Any], ask: Callable[[Any], None]
) -> None:
    client, keys = any_server.client(), Keys(stream, GROUP)
    handled(client, keys)
    put_retry(client, keys, UUID)
    letter_of_0_1_0(client, stream, "1775037600000-0", {"n": 1})
    before = _connections(client)

    with make(any_server.url, stream) as operator:
        assert _connections(client) == before, "nothing is opened before it is asked"
        ask(operator)
        assert len(_connections(client) - before) == 1
        assert _opened(client, lambda: ask(operator)) == 0

    eventually(lambda: _connections(client) == before, what="a closed connection")


def test_an_examination_takes_one_connection(any_server: Server, stream: str) -> None:
    client = any_server.client()
    handled(client, Keys(stream, GROUP))

    assert _opened(client, lambda: examine(any_server.url, stream)) == 1


def _connections(client: redis.Redis) -> set[str]:
    found: Any = client.client_list()
    return {each["id"] for each in found}


def _opened(client: redis.Redis, act: Callable[[], object]) -> int:
    """How many connections the server accepted meanwhile."""
    info: Any = client.info("stats")
    act()
    after: Any = client.info("stats")
    return int(after["total_connections_received"]) - int(info["total_connections_received"])
