"""Whatever a handler does, its message ends in one of the known ways and the consumer lives on."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any, TypedDict

import msgspec
import pytest

from streamix_queue import Consumer, Publisher, StreamMessage
from tests.support.members import Handler, Letter, dead_letters, eventually, member, pending
from tests.support.servers import Server


def _publish(server: Server, stream: str, *data: dict[str, Any], event: str = "thing") -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([(event, each) for each in data])


def _one_letter(server: Server, stream: str) -> Letter:
    with server.client() as client:
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        (letter,) = dead_letters(client, stream)
        return letter


def _still_alive(server: Server, stream: str, consumer_saw: Handler) -> None:
    before = len(consumer_saw.calls)
    _publish(server, stream, {"n": "alive"}, event="alive")
    consumer_saw.wait_for(before + 1)


def _watched(
    server: Server, stream: str, handler: Callable[..., Any], **options: Any
) -> tuple[Consumer, Handler]:
    """A consumer with ``handler``, and another event by which to see that it is alive."""
    per_event = {key: options.pop(key) for key in ("timeout_ms",) if key in options}
    consumer, alive = member(server.url, stream, **options), Handler()
    consumer.on("thing", handler, **per_event)
    consumer.on("alive", alive)
    return consumer, alive


class Odd(BaseException):
    """Not an Exception."""


class Unprintable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


_ENDINGS: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(0),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": lambda: StopIteration(1),
    "StopAsyncIteration": StopAsyncIteration,
    "CancelledError": asyncio.CancelledError,
    "MemoryError": MemoryError,
    "Odd": Odd,
    "Unprintable": Unprintable,
}


@pytest.mark.parametrize("name", _ENDINGS)
@pytest.mark.parametrize("kind", ["plain", "async", "async with a timeout", "async in a task of its own"])
def test_whatever_is_raised_is_a_failure_of_that_message(
    any_server: Server, stream: str, name: str, kind: str
) -> None:
    """Fails when an odd exception ends a worker, the event loop or the process."""

    ending = _ENDINGS[name]

    def plain(data: dict[str, Any]) -> None:
        raise ending()

    async def asynchronous(data: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        raise ending()

    async def tasked(data: dict[str, Any]) -> None:
        await asyncio.get_running_loop().create_task(asynchronous(data))

    handler = {"plain": plain, "async in a task of its own": tasked}.get(kind, asynchronous)
    options = {"timeout_ms": 20_000} if kind == "async with a timeout" else {}
    consumer, alive = _watched(any_server, stream, handler, retry_limit=1, concurrency=2, **options)
    with consumer:
        _publish(any_server, stream, {"n": 0})
        letter = _one_letter(any_server, stream)
        _still_alive(any_server, stream, alive)
        _publish(any_server, stream, {"n": 1})
        with any_server.client() as client:
            eventually(lambda: len(dead_letters(client, stream)) == 2, what="the next one ends, too")

    assert letter.reason == "retries_exhausted"
    assert letter.data["retries"] == 1


def test_an_error_is_kept_short_and_without_secrets(any_server: Server, stream: str) -> None:
    """Fails when a dead letter can be made as large, or as telling, as an error text."""

    def fail(data: dict[str, Any]) -> None:
        raise ValueError("redis://user:s3cr3t@host:1/0 \x1b[31m\ud800" + "x" * 5_000_000)

    consumer, _ = _watched(any_server, stream, fail, retry_limit=0)
    with consumer:
        _publish(any_server, stream, {})
        letter = _one_letter(any_server, stream)

    assert len(letter.fields[b"message"]) < 20_000
    assert b"s3cr3t" not in letter.fields[b"message"]
    assert letter.data["error_type"] == "ValueError"


def test_a_recursion_without_end_is_a_failure(any_server: Server, stream: str) -> None:
    """Fails when the failure path needs the stack that is used up."""

    def dive(data: dict[str, Any]) -> None:
        dive(data)

    consumer, alive = _watched(any_server, stream, dive, retry_limit=0)
    with consumer:
        _publish(any_server, stream, {})
        letter = _one_letter(any_server, stream)
        _still_alive(any_server, stream, alive)

    assert letter.data["error_type"] == "RecursionError"
    assert len(letter.data["traceback"]) < 10_000


def test_what_a_handler_does_to_its_arguments_stays_there(any_server: Server, stream: str) -> None:
    """Fails when the retry is made from the objects that the handler was given."""
    seen: list[tuple[dict[str, Any], str, int, str]] = []

    def vandal(data: dict[str, Any], message: StreamMessage) -> None:
        seen.append((dict(data), message.event, message.retries, message.id))
        data.clear()
        data["evil"] = {1, 2}
        message.retries = -7
        message.event = "elsewhere"
        message.id = ""
        message.data = None  # type: ignore[assignment]
        message.timestamps = None  # type: ignore[assignment]
        raise ValueError("vandal")

    consumer, alive = _watched(any_server, stream, vandal, retry_limit=2)
    with consumer:
        _publish(any_server, stream, {"n": 0})
        letter = _one_letter(any_server, stream)
        _still_alive(any_server, stream, alive)

    assert [(data, event, retries) for data, event, retries, _ in seen] == [
        ({"n": 0}, "thing", 0),
        ({"n": 0}, "thing", 1),
        ({"n": 0}, "thing", 2),
    ]
    assert letter.data["original_data"] == {"n": 0}
    assert letter.data["original_event"] == "thing"
    assert letter.data["original_id"] == seen[0][3] == seen[2][3]


def test_a_handler_may_publish_to_its_own_stream(any_server: Server, stream: str) -> None:
    """Fails when publishing inside a handler waits for the consumer, which waits for the handler."""
    with Publisher(any_server.url, stream) as publisher:
        handler = Handler(
            lambda data, message: data["left"] and publisher.publish("thing", {"left": data["left"] - 1})
        )
        consumer = member(any_server.url, stream, prefetch=1)
        consumer.on("thing", handler)
        with consumer:
            publisher.publish("thing", {"left": 50})
            handler.wait_for(51)

    assert handler.values("left") == list(range(50, -1, -1))


def test_with_one_thread_events_are_handled_in_the_order_of_the_stream(server: Server, stream: str) -> None:
    """Fails when each event has a queue of its own although there is but one thread."""
    order: list[tuple[str, int]] = []
    consumer = member(server.url, stream, claim_idle_ms=60_000)
    for event in ("a", "b"):
        consumer.on(event, lambda data, message: order.append((message.event, data["n"])))
    events = [("ab"[(n * n // 3) % 2], n) for n in range(3000)]
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([(event, {"n": n}) for event, n in events[:2000]])
        with consumer:
            publisher.publish_many([(event, {"n": n}) for event, n in events[2000:]])
            eventually(lambda: len(order) == 3000, 20, "all are handled")

    assert order == events


class Order(msgspec.Struct):
    """A payload."""

    number: int
    lines: list[str] = []


@dataclasses.dataclass
class Address:
    """A payload."""

    street: str
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("no such number")


class Person(TypedDict):
    """A payload."""

    name: str


@pytest.mark.parametrize(
    ("payload", "good", "bad"),
    [
        (Order, {"number": 7, "more": 1}, {"number": "7"}),
        (Address, {"street": "s", "number": 1}, {"street": "s"}),
        (Address, {"street": "s", "number": 1}, {"street": "s", "number": -1}),
        (Person, {"name": "n"}, {"name": None}),
    ],
)
def test_a_typed_payload_is_converted_or_dead_lettered_at_once(
    any_server: Server, stream: str, payload: Any, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    """Fails when a payload of the wrong shape is handed over, or tried again."""
    got: list[Any] = []

    def handle(data: Any) -> None:
        got.append(data)

    handle.__annotations__["data"] = payload
    consumer, _ = _watched(any_server, stream, handle)
    with consumer:
        _publish(any_server, stream, bad, good)
        letter = _one_letter(any_server, stream)
        eventually(lambda: got, what="the good one")

    assert letter.reason == "invalid"
    assert letter.data["original_data"] == bad
    assert (letter.data["retries"], len(got)) == (0, 1)
    expected = {key: value for key, value in good.items() if key != "more"}
    assert got[0] == (msgspec.convert(expected, payload))


class Callables:
    """Ways to be a handler."""

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []

    def one(self, data: Any) -> None:
        self.got.append((data,))

    def two(self, data: Any, message: Any) -> None:
        self.got.append((data, message))

    def with_default(self, data: Any, tries: int = 3) -> None:
        self.got.append((data, tries))

    def any_number(self, *args: Any) -> None:
        self.got.append(args)

    def keyword_only(self, data: Any, *, flag: bool = True) -> None:
        self.got.append((data, flag))

    def __call__(self, data: Any, message: Any) -> None:
        self.got.append((data, message))


@pytest.mark.parametrize(
    ("pick", "second"),
    [
        (lambda c: c.one, None),
        (lambda c: c.two, StreamMessage),
        (lambda c: c.with_default, int),
        (lambda c: c.any_number, StreamMessage),
        (lambda c: c.keyword_only, bool),
        (lambda c: c, StreamMessage),
        (lambda c: functools.partial(c.two), StreamMessage),
        (lambda c: functools.partial(c.with_default, tries=5), int),
        (lambda c: lambda data: c.any_number(data, None), object),
    ],
)
def test_a_handler_is_called_as_its_signature_says(
    any_server: Server, stream: str, pick: Callable[[Callables], Any], second: type | None
) -> None:
    """Fails when the signature is guessed by counting parameters."""
    callables = Callables()
    consumer, _ = _watched(any_server, stream, pick(callables))
    with consumer:
        _publish(any_server, stream, {"n": 1})
        eventually(lambda: callables.got, what="it is called")

    (got,) = callables.got
    assert got[0] == {"n": 1}
    assert len(got) == (1 if second is None else 2)
    assert second is None or isinstance(got[1], second)


def test_what_a_handler_binds_to_its_context_ends_with_it(any_server: Server, stream: str) -> None:
    """Fails when messages share a context: one would see the other's user, or span."""
    bound: contextvars.ContextVar[int] = contextvars.ContextVar("bound", default=-1)
    seen: list[int] = []
    lock = threading.Lock()

    def plain(data: dict[str, Any]) -> None:
        with lock:
            seen.append(bound.get())
        bound.set(data["n"])

    async def asynchronous(data: dict[str, Any]) -> None:
        plain(data)
        await asyncio.sleep(0.001)
        assert bound.get() == data["n"]

    consumer = member(any_server.url, stream, concurrency=4)
    consumer.on("plain", plain)
    consumer.on("async", asynchronous)
    with consumer:
        for event in ("plain", "async"):
            _publish(any_server, stream, *({"n": n} for n in range(40)), event=event)
        eventually(lambda: len(seen) == 80, what="all are handled")
        with any_server.client() as client:
            eventually(lambda: pending(client, stream) == 0, what="none has failed")

    assert set(seen) == {-1}
