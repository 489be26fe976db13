"""What only a real server can do to a broker: forget scripts, restart, refuse, be a replica."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamix_queue.broker.protocol import Standing
from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.broker.redis.link import Link
from streamix_queue.broker.redis.publisher import RedisPublisherBroker
from streamix_queue.core import commands
from streamix_queue.core.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ConfigError,
)
from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import decode, frame
from tests.broker.backends import RedisBackend, eventually
from tests.broker.commands import (
    DONE,
    EVENT,
    FIELDS,
    dead_letter,
    hand_back,
    one,
    or_absent,
    park,
    retry_later,
)
from tests.broker.test_read import BLOCK_MS, in_thread
from tests.support.servers import Server


@pytest.fixture
def me(redis_backend: RedisBackend) -> RedisConsumerBroker:
    broker = redis_backend.consumer("me")
    assert isinstance(broker, RedisConsumerBroker)
    broker.ensure_group(redis_backend.keys.stream, "0")
    return broker


# --- round trips --------------------------------------------------------------------------------


def trips(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> int:
    """How often ``call`` sends something and waits for the answer; a new connection counts for nothing."""
    sent: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(Link, name)

        def send(*args: Any) -> Any:
            sent.append(name)
            return original(*args)

        return send

    with monkeypatch.context() as patched:
        for name in ("call", "send_packed"):
            patched.setattr(Link, name, counted(name))
        call()
    return len(sent)


def test_a_method_is_one_round_trip_unless_the_protocol_says_otherwise(
    redis_backend: RedisBackend, me: RedisConsumerBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, keys = redis_backend.keys.stream, redis_backend.keys
    publisher = redis_backend.publisher()
    (entry_id,) = redis_backend.leased(me, 1)
    fence, member = or_absent(key, entry_id), frame([EVENT.encode(), *FIELDS])
    entry = [b"message", b'{"id":"m1"}']
    calls: dict[str, Callable[[], object]] = {
        "now_ms": me.now_ms,
        "ensure_group": lambda: me.ensure_group(key, "0"),
        "read": lambda: me.read([key], 1, 0),
        "settle": lambda: me.settle([retry_later(fence), dead_letter(fence), hand_back(fence)]),
        "renew": lambda: me.renew(key, [(entry_id, 1)]),
        "reclaim": lambda: me.reclaim(key, 60_000, b"0-0", 10),
        "own_pending": lambda: me.own_pending(key, 10),
        "take": lambda: me.take(key, [(entry_id, 1)]),
        "suspect": lambda: me.suspect(fence),
        "due": lambda: me.due(10),
        "promote": lambda: me.promote([member]),
        "discard_delayed": lambda: me.discard_delayed(b"none", FIELDS),
        "register": lambda: me.register([EVENT]),
        "take_duty": lambda: me.take_duty(1000, 1000),
        "trim": lambda: me.trim(key, 0, 100, 1000),
        "registered": lambda: me.registered(10),
        "remove_idle": lambda: me.remove_idle([key], 0),
        "pause": lambda: me.pause([EVENT]),
        "paused": me.paused,
        "resume": lambda: me.resume([EVENT]),
        "depart": lambda: me.depart([key]),
        "check": lambda: publisher.check(key),
        "add": lambda: publisher.add(key, entry),
        "add_many": lambda: publisher.add_many(key, [entry, entry]),
        "add_unless_there": lambda: publisher.add_unless_there(key, b"m1", entry),
    }
    for call in calls.values():
        call()  # for the first time: the server gets to know the scripts

    assert {name: trips(monkeypatch, call) for name, call in calls.items()} == dict.fromkeys(calls, 1)

    assert trips(monkeypatch, lambda: me.ensure_group(b"another", "0")) == 2
    me.close()
    assert trips(monkeypatch, calls["read"]) == 2, "a new connection"
    me.forget_suspects(0, 10)
    assert trips(monkeypatch, lambda: me.forget_suspects(0, 10)) == 1
    redis_backend.client.hset(keys.suspects, keys.suspect_field(key, entry_id), "1 1")
    assert trips(monkeypatch, lambda: me.forget_suspects(0, 10)) == 2
    publisher.backlog(keys.stream_name, 10)
    most = 4 if redis_backend.server.kind == "redis6" else 3  # which knows no lag
    assert trips(monkeypatch, lambda: publisher.backlog(keys.stream_name, 10)) <= most


# --- scripts ------------------------------------------------------------------------------------


def test_a_flushed_script_cache_is_not_noticed(redis_backend: RedisBackend, me: RedisConsumerBroker) -> None:
    key, flush = redis_backend.keys.stream, redis_backend.client.script_flush
    a, b, c, d, e = redis_backend.leased(me, 5)
    redis_backend.make_idle(key, e, 70_000)

    flush()
    assert me.settle(
        [
            dead_letter(or_absent(key, a)),
            commands.Ack(key, [b]),
            retry_later(or_absent(key, c), delay_ms=0),
            hand_back(or_absent(key, d)),
        ]
    ) == [DONE, DONE, DONE, [DONE]]
    flush()
    assert me.due(10).members
    flush()
    assert me.promote(me.due(10).members) == 1
    flush()
    assert me.renew(key, [(e, 1)]) == [Standing.OURS]
    flush()
    assert [i for i, _, _ in me.take(key, [(e, 1)])] == [e]
    flush()
    assert me.suspect(or_absent(key, e)) == 1
    flush()
    assert [i for i, _, _ in me.reclaim(key, 60_000, b"0-0", 10).entries] == [d]
    flush()
    me.register([EVENT])
    flush()
    me.discard_delayed(b"none", FIELDS)
    flush()
    me.depart([key])
    flush()
    publisher = redis_backend.publisher()
    assert publisher.add_unless_there(key, b"m1", [b"message", b'{"id":"m1"}'])


def test_a_batch_is_answered_in_order_though_its_scripts_were_unknown(
    redis_backend: RedisBackend, me: RedisConsumerBroker
) -> None:
    key = redis_backend.keys.stream
    a, b, c, d = redis_backend.leased(me, 4)
    me.settle([dead_letter(or_absent(key, a))])
    redis_backend.client.script_flush()
    redis_backend.make_wrong_type(redis_backend.keys.delayed)

    answers = me.settle(
        [retry_later(or_absent(key, b)), dead_letter(or_absent(key, c)), park(or_absent(key, d))]
    )

    assert [type(answers[0]).__name__, *answers[1:]] == ["WrongKeyType", DONE, DONE]
    assert [p.entry_id for p in redis_backend.pending(key)] == [b]


# --- restarts -----------------------------------------------------------------------------------


def calls_until_it_works(call: Callable[[], object]) -> int:
    """How many calls it takes; only the first may fail, and only for want of a connection."""
    try:
        call()
    except BrokerUnavailable:
        call()
        return 2
    return 1


def test_a_restart_between_calls_costs_one_call_at_most(durable: RedisBackend) -> None:
    me, publisher = durable.consumer(), durable.publisher()
    ids = durable.leased(me, 3)
    key = durable.keys.stream
    me.settle([dead_letter(or_absent(key, ids[0]))])
    publisher.add(key, FIELDS)

    durable.server.restart()

    assert calls_until_it_works(lambda: me.settle([dead_letter(or_absent(key, ids[1]))])) <= 2
    assert calls_until_it_works(lambda: publisher.add(key, FIELDS)) <= 2
    assert me.renew(key, [(ids[2], 1)]) == [Standing.OURS]
    assert [fields for _, fields in me.read([key], 10, 0)[0][1]] == [FIELDS, FIELDS]
    assert len(durable.entries(durable.keys.failed)) == 2


def test_a_read_works_again_after_a_restart_and_can_be_interrupted(durable: RedisBackend) -> None:
    me, key = durable.consumer(), durable.keys.stream
    me.ensure_group(key, "0")
    future = in_thread(lambda: me.read([key], 10, BLOCK_MS))
    eventually(lambda: durable.blocked_reads() == 1)

    durable.server.restart()

    with pytest.raises(BrokerUnavailable):
        future.result(10)
    me.own_pending(key, 10)  # a new connection, which is not the one that the read had
    future = in_thread(lambda: me.read([key], 10, BLOCK_MS))
    eventually(lambda: durable.blocked_reads() == 1)
    me.interrupt()
    assert not future.result(10)


def test_a_server_that_is_away_is_told_by_every_call_until_it_is_back(durable: RedisBackend) -> None:
    me, publisher, key = durable.consumer(), durable.publisher(), durable.keys.stream
    me.ensure_group(key, "0")
    durable.server.stop()

    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            me.read([key], 1, 0)
        with pytest.raises(BrokerUnavailable):
            publisher.add(key, FIELDS)
        with pytest.raises(BrokerUnavailable):
            durable.consumer().connect()
        with pytest.raises(BrokerUnavailable):
            me.now_ms()
        me.interrupt()
        me.abort()

    durable.server.restart()
    publisher.add(key, FIELDS)
    assert len(me.read([key], 1, 0)) == 1


# --- connections --------------------------------------------------------------------------------


def test_a_connection_killed_by_the_server_is_told_once(
    redis_backend: RedisBackend, me: RedisConsumerBroker
) -> None:
    key = redis_backend.keys.stream
    (entry_id,) = redis_backend.leased(me, 1)
    redis_backend.client.client_kill_filter(_type="normal", skipme=True)

    assert calls_until_it_works(lambda: me.renew(key, [(entry_id, 1)])) <= 2


def test_interrupt_reaches_the_connection_that_the_read_is_on(
    redis_backend: RedisBackend, me: RedisConsumerBroker
) -> None:
    key = redis_backend.keys.stream
    redis_backend.read(me)
    redis_backend.client.client_kill_filter(_type="normal", skipme=True)
    calls_until_it_works(lambda: me.own_pending(key, 1))
    future = in_thread(lambda: me.read([key], 10, BLOCK_MS))
    eventually(lambda: redis_backend.blocked_reads() == 1)

    me.interrupt()

    assert not future.result(10)


def test_options_in_the_url_cannot_break_the_reader(redis_backend: RedisBackend) -> None:
    url = redis_backend.server.url + "?decode_responses=true&socket_timeout=0.001&protocol=3"
    me = RedisConsumerBroker(url, redis_backend.keys, "me")
    try:
        me.ensure_group(redis_backend.keys.stream, "0")
        redis_backend.add(redis_backend.keys.stream, b"message", b"\xff")

        assert redis_backend.read(me)[0][1] == [b"message", b"\xff"]
        assert not me.read([redis_backend.keys.stream], 1, 50)
    finally:
        me.close()


def test_a_reply_that_does_not_come_in_time_is_unavailable(
    durable: RedisBackend,
) -> None:
    me = RedisConsumerBroker(durable.server.url, durable.keys, "me", timeout_s=0.1)
    me.ensure_group(durable.keys.stream, "0")
    durable.server.pause()
    try:
        with pytest.raises(BrokerUnavailable):
            me.own_pending(durable.keys.stream, 1)
    finally:
        durable.server.resume()

    assert me.own_pending(durable.keys.stream, 1) == []
    me.close()


def test_a_bad_url_is_told_without_its_secret() -> None:
    for url in ("http://:s3cret@host", "redis://:s3cret@host:port/0", "not a url"):
        with pytest.raises((ConfigError, BrokerRefused)) as caught:
            RedisConsumerBroker(url, Keys("s", "g"), "me").connect()
        assert "s3cret" not in str(caught.value)


def test_nobody_listens() -> None:
    broker = RedisConsumerBroker("redis://user:s3cret@127.0.0.1:1/0", Keys("s", "g"), "me")

    with pytest.raises(BrokerUnavailable) as caught:
        broker.connect()
    assert "127.0.0.1:1" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_unix_socket(start_server: Callable[..., Server], stream: str) -> None:
    server = start_server("valkey9", unix_socket=True)
    publisher = RedisPublisherBroker(server.url)
    me = RedisConsumerBroker(server.url, Keys(stream, "g"), "me")
    try:
        me.ensure_group(stream.encode(), "0")
        entry_id = publisher.add(stream.encode(), FIELDS)
        assert me.own_pending(stream.encode(), 1) == []
        assert me.read([stream.encode()], 1, 1000)[0][1][0][0] == entry_id
        future = in_thread(lambda: me.read([stream.encode()], 1, BLOCK_MS))
        with server.client() as client:
            eventually(lambda: any("b" in c["flags"] for c in client.client_list()))
        me.interrupt()
        assert not future.result(10)
    finally:
        me.close()
        publisher.close()


# --- replicas ---------------------------------------------------------------------------------


def test_a_replica_is_no_place_to_write(durable: RedisBackend) -> None:
    me, publisher, key = durable.consumer(), durable.publisher(), durable.keys.stream
    (entry_id,) = durable.leased(me, 1)
    durable.client.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(BrokerUnavailable, match="replica"):
            publisher.add(key, FIELDS)
        with pytest.raises(BrokerUnavailable):
            me.read([key], 1, 0)
        assert isinstance(one(me, dead_letter(or_absent(key, entry_id))), BrokerUnavailable)
    finally:
        durable.client.replicaof("NO", "ONE")

    assert one(me, dead_letter(or_absent(key, entry_id))) == DONE


def test_a_member_blocked_on_a_server_that_becomes_a_replica_is_told(durable: RedisBackend) -> None:
    me, key = durable.consumer(), durable.keys.stream
    me.ensure_group(key, "0")
    future = in_thread(lambda: me.read([key], 10, BLOCK_MS))
    eventually(lambda: durable.blocked_reads() == 1)
    durable.client.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(BrokerUnavailable):
            future.result(10)
    finally:
        durable.client.replicaof("NO", "ONE")
    assert not me.read([key], 1, 0)


# --- fork ---------------------------------------------------------------------------------------

FORKING = """
import os, sys
from streamix_queue.broker.redis.link import Link
from streamix_queue.broker.redis.publisher import RedisPublisherBroker

publisher = RedisPublisherBroker(sys.argv[1])
key = sys.argv[2].encode()
publisher.add(key, [b"message", b"parent"])
child = os.fork()
name = b"parent" if child else b"child"
for number in range(50):
    publisher.add(key, [b"message", name + b"%d" % number])
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


AMID_OTHERS = """
import os, sys, threading
from streamix_queue import Publisher

publisher, ended = Publisher(sys.argv[1], sys.argv[2]), threading.Event()
def write():
    while not ended.is_set():
        publisher.publish("noise", {})
threads = [threading.Thread(target=write) for _ in range(20)]
for thread in threads:
    thread.start()
publisher.publish("counted", {"n": "parent"})
child = os.fork()
name = "parent" if child else "child"
for number in range(50):
    publisher.publish("counted", {"n": f"{name}{number}"})
if not child:
    os._exit(0)
ended.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run_on_both_sides_of_a_fork(script: str, backend: RedisBackend) -> list[bytes]:
    """The first values of what it wrote to the stream."""
    # (From 3.12 on Python warns of a fork beside threads; that is what is tested.)
    options = ("-W", "error", "-W", "ignore::DeprecationWarning", "-c", script)
    command = [sys.executable, *options, backend.server.url, backend.stream]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, timeout=60)
    return [fields[1] for _, fields in backend.entries(backend.keys.stream)]


def expected_of_both_sides() -> list[bytes]:
    return sorted([b"parent", *(name + b"%d" % n for name in (b"parent", b"child") for n in range(50))])


def test_a_publisher_works_on_both_sides_of_a_fork(redis_backend: RedisBackend) -> None:
    assert sorted(run_on_both_sides_of_a_fork(FORKING, redis_backend)) == expected_of_both_sides()


def test_a_fork_while_threads_share_round_trips_harms_neither_side(
    redis_backend: RedisBackend,
) -> None:
    """Fails when the child waits for threads that are its parent's."""
    messages = map(decode, run_on_both_sides_of_a_fork(AMID_OTHERS, redis_backend))
    counted = [message.data["n"].encode() for message in messages if message.event == "counted"]

    assert sorted(counted) == expected_of_both_sides()
