"""Guarantee 1, the publisher's side: one publish() is one entry, or an error that tells the truth."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import BrokerUnavailable, Publisher, PublishUnknown, publish
from tests.support.members import eventually
from tests.support.proxy import Proxy
from tests.support.servers import Server

_TIMEOUT_MS = 1200
_LIMIT_S = 2.0  # the deadline, and room for a busy machine


@pytest.fixture
def proxy(any_server: Server) -> Iterator[Proxy]:
    with Proxy(any_server.port) as proxy:
        yield proxy


def _values(server: Server, stream: str) -> list[int]:
    import json

    with server.client() as client:
        entries: Any = client.xrange(stream)
    return [json.loads(fields[b"message"])["data"]["n"] for _, fields in entries]


def test_a_publish_whose_reply_was_lost_is_one_entry(server: Server, stream: str) -> None:
    """Fails when a publish is sent again without a look whether it is there."""
    with Proxy(server.port) as proxy, Publisher(proxy.url, stream) as publisher:
        publisher.publish("thing", {"n": 0})
        fault = proxy.lose_reply("XADD")
        second = publisher.publish("thing", {"n": 1})
        assert fault.happened.is_set()
        publisher.publish("thing", {"n": 2})

    assert _values(server, stream) == [0, 1, 2]
    with server.client() as client:
        assert second.id.encode() in client.xrange(stream)[1][1][b"message"]


def test_a_publish_whose_replies_are_lost_twice_is_one_entry(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when only the first repetition looks whether the message is there."""
    with Publisher(proxy.url, stream) as publisher:
        faults = [proxy.lose_reply("XADD"), proxy.lose_reply("script:add_unless_there")]
        publisher.publish("thing", {"n": 0})
        assert all(fault.happened.is_set() for fault in faults)

    assert _values(any_server, stream) == [0]


@pytest.mark.parametrize("nth", [1, 7, 700, 1200])
def test_a_lost_reply_amid_many_publishes_doubles_and_drops_none(
    any_server: Server, proxy: Proxy, stream: str, nth: int
) -> None:
    """Fails when a broken batch is sent again as a whole, or given up."""
    with Publisher(proxy.url, stream) as publisher:
        fault = proxy.lose_reply("XADD", nth=nth)
        publisher.publish_many([("thing", {"n": n}) for n in range(1200)])
        assert fault.happened.is_set()

    assert sorted(_values(any_server, stream)) == list(range(1200))


def test_a_reply_cut_in_two_is_not_the_next_publishs_reply(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when a connection that broke inside a reply is used again."""
    with Publisher(proxy.url, stream) as publisher:
        for n in range(15):
            proxy.lose_reply("XADD", nth=2, let_through=2 * n)
            publisher.publish("thing", {"n": n})

    assert _values(any_server, stream) == list(range(15))


def test_a_publish_during_a_stall_ends_at_its_deadline_and_says_that_it_may_be_in(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when each try gets the whole time, or when unknown is reported as surely not."""
    with Publisher(proxy.url, stream, timeout_ms=_TIMEOUT_MS) as publisher:
        publisher.publish("thing", {"n": 0})
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(PublishUnknown, match="may be in or out") as caught:
            publisher.publish("thing", {"n": 1})
        assert time.monotonic() - began < _LIMIT_S
        assert caught.value.message_id
        proxy.resume()
        publisher.publish("thing", {"n": 2})

    values = _values(any_server, stream)
    assert values.count(1) <= 1
    assert [n for n in values if n != 1] == [0, 2]


def test_many_publishes_during_a_stall_end_at_one_deadline(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when each message of a batch gets a deadline of its own."""
    with Publisher(proxy.url, stream, timeout_ms=_TIMEOUT_MS) as publisher:
        publisher.publish("thing", {"n": 0})
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(PublishUnknown):
            publisher.publish_many([("thing", {"n": n}) for n in range(1, 50)])
        assert time.monotonic() - began < _LIMIT_S
        proxy.resume()


def test_a_publish_to_a_server_that_is_gone_says_that_nothing_was_written(
    start_server: Callable[..., Server], stream: str
) -> None:
    """Fails when a refused connection is reported as unknown, or waits beyond the deadline."""
    server = start_server(appendonly=True)
    with Publisher(server.url, stream, timeout_ms=_TIMEOUT_MS) as publisher:
        server.kill()
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="nothing was written") as caught:
            publisher.publish("thing", {"n": 0})
        assert time.monotonic() - began < _LIMIT_S
        assert not isinstance(caught.value, PublishUnknown)
        server.restart()
        publisher.publish("thing", {"n": 1})

    assert _values(server, stream) == [1]


def test_a_server_restarted_between_calls_goes_unnoticed(
    start_server: Callable[..., Server], stream: str
) -> None:
    """Fails when a connection that died while idle fails the next publish."""
    server = start_server(appendonly=True, extra_args=("--appendfsync", "always"))
    with Publisher(server.url, stream) as publisher:
        for n in range(3):
            publisher.publish("thing", {"n": n})
            server.kill()
            server.restart()
        publisher.publish_many([("thing", {"n": 3}), ("thing", {"n": 4})])

    assert _values(server, stream) == [0, 1, 2, 3, 4]


def test_a_publish_waits_for_a_server_that_comes_back_in_time(
    start_server: Callable[..., Server], stream: str
) -> None:
    """Fails when an outage shorter than the deadline is an error."""
    server = start_server(appendonly=True)
    with Publisher(server.url, stream, timeout_ms=10_000) as publisher:
        server.kill()
        back = threading.Timer(0.5, server.restart)
        back.start()
        publisher.publish("thing", {"n": 0})
        back.join()

    assert _values(server, stream) == [0]


def test_sixteen_threads_publish_through_one_publisher(any_server: Server, stream: str) -> None:
    """Fails when two threads share a connection: replies go astray, and entries with them."""
    ids: list[str] = []
    errors: list[BaseException] = []
    start = threading.Barrier(16)

    def work(number: int) -> None:
        try:
            start.wait(10)
            mine = [publisher.publish("thing", {"n": number * 100 + i}).id for i in range(100)]
            ids.extend(mine)
        except BaseException as error:  # noqa: BLE001 - to be seen by the test's thread
            errors.append(error)

    with any_server.client() as client, Publisher(any_server.url, stream) as publisher:
        others = len(client.client_list())
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        connected = len(client.client_list()) - others

    assert errors == []
    assert len(set(ids)) == 1600
    assert sorted(_values(any_server, stream)) == list(range(1600))
    assert 2 <= connected <= 16


def test_a_forked_child_publishes_over_connections_of_its_own(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a child writes to its parent's sockets: each would read the other's replies."""
    with any_server.client() as client, Publisher(any_server.url, stream) as publisher:
        publisher.publish("thing", {"n": 0})
        publish("thing", {"n": 1}, redis_url=any_server.url, stream=stream)
        before = len(client.client_list())
        children = [_fork(publisher, any_server, stream, tmp_path / str(number)) for number in (1, 2, 3)]
        for n in range(50):
            publisher.publish("thing", {"n": 1000 + n})
        # two publishers for each, which they keep until they are told to end
        eventually(lambda: len(client.client_list()) == before + 6, what="connections of their own")
        (tmp_path / "end").touch()
        for pid in children:
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == 0

    values = sorted(_values(any_server, stream))
    assert values == sorted([0, 1, *range(1000, 1050), *[n for c in (1, 2, 3) for n in _of_child(c)]])


def _of_child(number: int) -> list[int]:
    return [*range(number * 10_000, number * 10_000 + 50), number * 10_000 + 50]


def _fork(publisher: Publisher, server: Server, stream: str, log: Path) -> int:
    import warnings

    with warnings.catch_warnings():
        # 3.12 warns of fork() in a process with threads: a prefork web server does just that.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        first = int(log.name) * 10_000
        for n in range(50):
            publisher.publish("thing", {"n": first + n})
        publish("thing", {"n": first + 50}, redis_url=server.url, stream=stream)
        eventually((log.parent / "end").exists, 30)
        publisher.close()
        code = 0
    except BaseException as error:  # noqa: BLE001 - nothing else would tell
        log.write_text(repr(error))
    finally:
        os._exit(code)


def test_a_group_named_at_publish_keeps_the_event_until_the_service_starts(
    server: Server, stream: str
) -> None:
    """Fails when ``group`` is ignored, or begins behind what was published with it."""
    with Publisher(server.url, stream) as publisher:
        publisher.publish("thing", {"n": 0}, group="later")
        publisher.publish("thing", {"n": 1}, group="later")
    with server.client() as client:
        (info,) = client.xinfo_groups(stream)
    assert (info["name"], info["last-delivered-id"]) == (b"later", b"0-0")
