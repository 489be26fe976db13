"""Bad input gets a typed error that says what to do; nothing is written, and no secret is told."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from streamix_queue import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    ConfigError,
    Consumer,
    InvalidMessage,
    InvalidMessageType,
    MessageTooLarge,
    NotEnoughReplicas,
    Publisher,
    WrongKeyType,
    consume,
    publish,
)
from streamix_queue.local_server.loopback import free_loopback_port
from tests.support.members import Handler
from tests.support.servers import Server

SECRET = "s3cr3t-Pa55"  # planted, to be looked for

_cycle: dict[str, Any] = {}
_cycle["self"] = _cycle
_deep: dict[str, Any] = {}
for _ in range(200):
    _deep = {"x": _deep}


@pytest.mark.parametrize(
    ("event", "data", "error", "text"),
    [
        pytest.param("", {}, ValueError, "event", id="an empty event"),
        pytest.param(None, {}, TypeError, "event", id="an event that is None"),
        pytest.param(b"thing", {}, TypeError, "event", id="an event of bytes"),
        pytest.param("\ud800", {}, ValueError, "surrogate", id="an event with a lone surrogate"),
        pytest.param("thing", None, TypeError, "data", id="no data"),
        pytest.param("thing", [1], TypeError, "data", id="a list"),
        pytest.param("thing", '{"a":1}', TypeError, "data", id="text"),
        pytest.param("thing", {"a": {"b": [1, float("nan")]}}, ValueError, r"data\.a\.b\[1\]", id="NaN"),
        pytest.param("thing", {"a": float("-inf")}, ValueError, r"data\.a", id="infinity"),
        pytest.param("thing", {"a": [{1, 2}]}, TypeError, r"data\.a\[0\]", id="a set"),
        pytest.param("thing", {"a": {1: 2}}, TypeError, r"data\.a", id="a key that is a number"),
        pytest.param("thing", {"a": b"x"}, TypeError, r"data\.a", id="bytes"),
        pytest.param("thing", {"a": datetime(2026, 1, 1)}, TypeError, r"data\.a", id="a datetime"),  # noqa: DTZ001
        pytest.param("thing", {"a": "\ud800"}, ValueError, "surrogate", id="a lone surrogate"),
        pytest.param("thing", {"\udfff": 1}, ValueError, "surrogate", id="a lone surrogate in a key"),
        pytest.param("thing", _cycle, ValueError, "cycle", id="a cycle"),
        pytest.param("thing", _deep, ValueError, "nested deeper", id="200 levels"),
        pytest.param("thing", {"a": 10**5000}, ValueError, "digits", id="5,000 digits"),
        pytest.param("thing", {"a": "x" * (1 << 20)}, MessageTooLarge, "max_message_bytes", id="too large"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_and_nothing_is_written(
    any_server: Server, stream: str, event: Any, data: Any, error: type[Exception], text: str
) -> None:
    """Fails when bad input is sent, changed in silence, or refused with an error of somebody else's."""
    good = ("thing", {"n": 1})
    with Publisher(any_server.url, stream) as publisher, any_server.client() as client:
        for attempt in (
            lambda: publisher.publish(event, data),
            lambda: publisher.publish_many([good, (event, data), good]),
            lambda: publish(event, data, redis_url=any_server.url, stream=stream),
        ):
            with pytest.raises(error, match=text) as caught:
                attempt()
            assert isinstance(caught.value, (InvalidMessage, InvalidMessageType))
        assert not client.exists(stream)


@pytest.fixture
def locked_server(start_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_server()
    with server.client() as client:
        client.config_set("requirepass", SECRET)
        yield server


def _everything_said(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """All that reaches a person: the error, its chain, its traceback with locals, and the log."""
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return "\n".join([repr(error), str(error), shown, *(record.getMessage() for record in caplog.records)])


def _attempts(url: str, stream: str) -> list[Callable[[], object]]:
    def start() -> None:
        consumer = Consumer(url, stream, "g")
        consumer.on("thing", print)
        with consumer:
            pass

    return [
        lambda: publish("thing", {}, redis_url=url, stream=stream),
        lambda: Publisher(url, stream, timeout_ms=300).publish("thing", {}),
        lambda: Publisher(url, stream, timeout_ms=300).publish_many([("thing", {})]),
        lambda: Publisher(url, stream, timeout_ms=300).publish("thing", {}, group="g"),
        lambda: consume("thing", print, redis_url=url, stream=stream),
        start,
    ]


def test_a_wrong_password_is_refused_without_telling_it(
    locked_server: Server, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a wrong password is retried like an outage, or is shown to anybody."""
    caplog.set_level(logging.DEBUG)
    wrong = f"{SECRET}-wrong"
    for url in (
        f"redis://:{wrong}@127.0.0.1:{locked_server.port}/0",
        f"redis://user:{wrong}@127.0.0.1:{locked_server.port}/0",
        f"redis://127.0.0.1:{locked_server.port}/0?password={wrong}",
        f"redis://127.0.0.1:{locked_server.port}/0",
    ):
        for attempt in _attempts(url, stream):
            with pytest.raises(BrokerRefused, match=r"password|user") as caught:
                attempt()
            said = _everything_said(caught.value, caplog)
            assert SECRET not in said
            assert f"127.0.0.1:{locked_server.port}" in said


def test_the_right_password_works_and_is_not_told_either(
    locked_server: Server, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a secret of the URL is in a log line of a consumer that works."""
    caplog.set_level(logging.DEBUG)
    url = f"redis://:{SECRET}@127.0.0.1:{locked_server.port}/0"
    handler = Handler()
    consumer = Consumer(url, stream, "g", block_ms=200)
    consumer.on("thing", handler)
    with consumer:
        publish("thing", {"n": 1}, redis_url=url, stream=stream)
        handler.wait_for(1)

        publisher = Publisher(url, stream)

    assert SECRET not in "\n".join(record.getMessage() for record in caplog.records)
    # What a traceback with local variables would show.
    assert SECRET not in "".join(map(repr, [consumer, consumer._config, publisher, publisher._config]))


def test_a_database_that_is_not_there_is_refused(any_server: Server, stream: str) -> None:
    """Fails when a wrong database number is taken for an outage."""
    for attempt in _attempts(f"redis://127.0.0.1:{any_server.port}/99", stream):
        with pytest.raises(BrokerRefused, match=r"(?i)db|database"):
            attempt()


def test_a_server_that_is_not_there_is_unavailable(stream: str, caplog: pytest.LogCaptureFixture) -> None:
    """Fails when a refused connection is an error of the client library's, or hangs."""
    url = f"redis://:{SECRET}@127.0.0.1:{free_loopback_port()}/0"
    for attempt in _attempts(url, stream)[1:]:
        with pytest.raises(BrokerUnavailable, match="127") as caught:
            attempt()
        assert SECRET not in _everything_said(caught.value, caplog)


def test_a_read_only_replica_is_told_apart(
    any_server: Server, start_server: Callable[..., Server], stream: str
) -> None:
    """Fails when a write to a replica is an unknown error, or is followed by none."""
    replica = start_server()
    with replica.client() as client:
        client.replicaof("127.0.0.1", any_server.port)
        for attempt in _attempts(replica.url, stream)[1:]:
            with pytest.raises(BrokerUnavailable, match=r"replica|primary"):
                attempt()
        client.replicaof("NO", "ONE")


def test_too_few_replicas_are_told_apart_and_nothing_is_written(any_server: Server, stream: str) -> None:
    """Fails when a write that Redis refuses for want of replicas looks like success or an outage."""
    with any_server.client() as client, Publisher(any_server.url, stream, timeout_ms=300) as publisher:
        client.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(NotEnoughReplicas, match="replica"):
                publisher.publish("thing", {})
            assert not client.exists(stream)
        finally:
            client.config_set("min-replicas-to-write", 0)


def test_a_stream_that_is_another_type_is_told_apart(any_server: Server, stream: str) -> None:
    """Fails when a key of another type is overwritten, or the error does not say which key."""
    with any_server.client() as client:
        client.set(stream, "mine")
        for attempt in _attempts(any_server.url, stream):
            with pytest.raises(WrongKeyType, match="TYPE"):
                attempt()
        assert client.get(stream) == b"mine"


def test_a_right_that_is_missing_is_named(any_server: Server, stream: str) -> None:
    """Fails when a missing right looks like an outage, so that somebody waits for it to end."""
    with any_server.client() as client:
        client.acl_setuser("weak", enabled=True, passwords=[f"+{SECRET}"], commands=["+ping"], keys=["*"])
        try:
            for attempt in _attempts(f"redis://weak:{SECRET}@127.0.0.1:{any_server.port}/0", stream):
                with pytest.raises(BrokerRefused, match="ACL") as caught:
                    attempt()
                assert SECRET not in str(caught.value)
        finally:
            client.acl_deluser("weak")


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "http://127.0.0.1", "redis://127.0.0.1:notaport", f"redis://:{SECRET}/x@h:1", None, 7],
)
def test_a_url_that_cannot_be_read_is_told_at_the_call(url: Any, stream: str) -> None:
    """Fails when a bad URL is found out at the first message, or is shown with its secret."""
    for attempt in _attempts(url, stream):
        with pytest.raises(ConfigError, match="redis_url") as caught:
            attempt()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("concurrency", 0),
        ("concurrency", True),
        ("concurrency", 2.5),
        ("retry_limit", -1),
        ("retry_limit", "3"),
        ("batch_size", 0),
        ("prefetch", -1),
        ("block_ms", 0),
        ("claim_idle_ms", 0),
        ("claim_idle_ms", float("nan")),
        ("backoff_base_ms", -1),
        ("backoff_max_ms", 1),
        ("backoff_jitter", 1.5),
        ("start_from", "yesterday"),
        ("start_from", datetime(2026, 1, 1)),  # noqa: DTZ001 - without a zone it is no moment
        ("drain_timeout_ms", -1),
        ("max_deliveries", 0),
        ("metrics_port", 70_000),
        ("group", ""),
        ("stream", "\ud800"),
        ("consumer", ""),
    ],
)
def test_every_option_is_checked_at_the_call(any_server: Server, option: str, value: Any) -> None:
    """Fails when a bad option is found out later, or by an error that does not name it."""
    with pytest.raises(ConfigError, match=option):
        consume("thing", print, redis_url=any_server.url, **{option: value})
    with pytest.raises(ValueError, match=option):
        Consumer(any_server.url, **{option: value})
    with any_server.client() as client:
        assert client.dbsize() == 0


def test_a_consumer_without_a_handler_does_not_start(any_server: Server, stream: str) -> None:
    """Fails when a consumer that can only drop messages takes some."""
    with pytest.raises(ConfigError, match="no handler"):
        Consumer(any_server.url, stream).start()
    with any_server.client() as client:
        assert not client.exists(stream)


def test_errors_of_the_broker_have_one_base() -> None:
    """Fails when a caller would have to know every kind."""
    for kind in (BrokerRefused, BrokerUnavailable, NotEnoughReplicas, WrongKeyType):
        assert issubclass(kind, BrokerError)
