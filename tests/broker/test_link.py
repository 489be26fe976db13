"""One connection to Redis: after which errors it is kept, and after which it is given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamix_queue.broker.redis.link import Link
from streamix_queue.core.errors import BrokerError, BrokerUnavailable, WrongKeyType
from tests.support.servers import Server


@pytest.fixture
def link(start_server: Callable[..., Server], tmp_path: Path) -> Iterator[Link]:
    """To a server whose address says what its errors could say."""
    server = start_server(unix_socket=True)
    assert server.socket_path is not None
    address = tmp_path / "READONLY-replica.sock"
    address.symlink_to(server.socket_path)
    link = Link(f"unix://{address}", 5.0)
    assert "READONLY-replica" in link.where
    yield link
    link.close()


def test_what_the_server_is_called_does_not_make_it_unfit(link: Link) -> None:
    link.call("SET", "text", "x")

    for _ in range(5):
        with pytest.raises(WrongKeyType):
            link.call("XLEN", "text")
        (answer,) = link.calls([("XLEN", "text")])
        assert isinstance(answer, WrongKeyType)

    assert link.opened == 1


def test_a_replica_is_left_at_once_for_only_a_new_connection_can_find_the_primary(link: Link) -> None:
    link.call("REPLICAOF", "127.0.0.1", 1)

    with pytest.raises(BrokerUnavailable) as raised:
        link.call("SET", "text", "x")
    assert raised.value.code == "READONLY"
    assert not link.connected
    (answer,) = link.calls([("SET", "text", "x")])
    assert isinstance(answer, BrokerError)
    assert answer.code == "READONLY"
    assert not link.connected


def test_a_primary_that_lost_its_replicas_is_left_too_for_it_may_have_been_replaced(link: Link) -> None:
    link.call("CONFIG", "SET", "min-replicas-to-write", 1)

    with pytest.raises(BrokerUnavailable) as raised:
        link.call("SET", "text", "x")

    assert raised.value.code == "NOREPLICAS"
    assert not link.connected
