"""A registration: what kind of handler it is, what it is given, and the options of its event."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypedDict
from unittest.mock import Mock

import msgspec
import pytest

from streamix_queue.core.backoff import Backoff
from streamix_queue.core.config import ConsumerConfig, EventOptions
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.outcome import Policy
from streamix_queue.core.registration import (
    Registration,
    is_async,
    leave_a_thread_for_others,
    make_registration,
    typed_payload,
    with_concurrency,
)

DEFAULTS = ConsumerConfig(concurrency=8)
WEEK_MS = 7 * 86_400_000


def registered(handler: Any, event: Any = "user.created", **options: Any) -> Registration:
    return make_registration(event, handler, EventOptions(**options), DEFAULTS)


def plain(data: Any) -> None: ...


async def coroutine(data: Any, message: Any) -> None: ...


# --- async ------------------------------------------------------------------------------------------


class Async:
    async def method(self, data: Any) -> None: ...

    @classmethod
    async def of_class(cls, data: Any) -> None: ...

    @staticmethod
    async def static(data: Any) -> None: ...

    async def __call__(self, data: Any) -> None: ...


class Plain:
    func = coroutine  # looks like a partial of a coroutine function, and is none

    def __call__(self, data: Any) -> None: ...


@functools.wraps(coroutine)
def plain_around_coroutine(*args: Any) -> Any:
    return coroutine(*args)


ASYNC: list[Any] = [
    coroutine,
    Async().method,
    Async.of_class,
    Async.static,
    Async(),
    functools.partial(coroutine, message=None),
    functools.partial(functools.partial(coroutine), message=None),
    functools.partial(Async().method),
    functools.partial(Async()),
]
PLAIN: list[Any] = [
    plain,
    Plain(),
    Plain,
    lambda data: None,
    functools.partial(plain),
    [].append,
    print,
    Mock(),
]


@pytest.mark.parametrize("handler", ASYNC, ids=lambda handler: type(handler).__name__)
def test_a_coroutine_function_is_known_in_every_wrapping(handler: Any) -> None:
    assert is_async(handler) is True
    assert registered(handler).is_async is True


@pytest.mark.parametrize("handler", PLAIN, ids=lambda handler: type(handler).__name__)
def test_everything_else_runs_on_a_thread(handler: Any) -> None:
    assert is_async(handler) is False


def generator(data: Any) -> Iterator[int]:
    yield 1


async def async_generator(data: Any) -> AsyncIterator[int]:
    yield 1


class Generators:
    def method(self, data: Any) -> Iterator[int]:
        yield 1

    def __call__(self, data: Any) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    "handler",
    [
        generator,
        async_generator,
        Generators().method,
        Generators(),
        functools.partial(generator),
        lambda data: (yield),
    ],
    ids=lambda handler: type(handler).__name__,
)
def test_a_generator_is_refused_for_nobody_would_run_it(handler: Any) -> None:
    with pytest.raises(ConfigError, match="a generator is never run to its end; return instead"):
        registered(handler)


# --- typed payloads ---------------------------------------------------------------------------------


class User(msgspec.Struct):
    user_id: str


@dataclasses.dataclass
class Order:
    order_id: int


class Event(TypedDict):
    name: str


class Unrelated:
    pass


def takes_struct(data: User) -> None: ...


def takes_dataclass(data: Order, message: Any) -> None: ...


def takes_typed_dict(data: Event) -> None: ...


async def takes_struct_async(user: User) -> None: ...


class Service:
    def handle(self, data: User) -> None: ...

    def __call__(self, data: Order) -> None: ...


def context_first(context: str, data: User) -> None: ...


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (takes_struct, User),
        (takes_dataclass, Order),
        (takes_typed_dict, Event),
        (takes_struct_async, User),
        (Service().handle, User),
        (Service(), Order),
        (functools.partial(takes_dataclass, message=None), Order),
        (functools.partial(context_first, "context"), User),
        (functools.partial(Service().handle), User),
        (functools.partial(Service()), Order),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_the_first_parameters_type_is_what_the_data_is_turned_into(handler: Any, kind: type) -> None:
    assert typed_payload(handler) is kind
    assert registered(handler).payload_type is kind


def takes_dict(data: dict[str, Any]) -> None: ...


def takes_any(data: Any) -> None: ...


def takes_nothing_known(data: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def takes_union(data: User | None) -> None: ...


def takes_unrelated(data: Unrelated) -> None: ...


def types_the_message_only(data, message: User) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "handler",
    [
        plain,
        takes_dict,
        takes_any,
        takes_nothing_known,
        takes_union,
        takes_unrelated,
        types_the_message_only,
        lambda data: None,
        print,
        dict,
        [].append,
        Mock(),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_any_other_annotation_gets_the_dictionary(handler: Any) -> None:
    assert typed_payload(handler) is None


# --- options ------------------------------------------------------------------------------------------


def test_an_event_has_the_consumers_options_unless_it_says_otherwise() -> None:
    assert registered(plain) == Registration(
        event="user.created",
        handler=plain,
        wants_message=False,
        is_async=False,
        payload_type=None,
        policy=Policy(3, Backoff(1000, 300_000, 0.2)),
        concurrency=8,
        limited=False,
        timeout_s=None,
    )


def test_an_event_may_have_options_of_its_own() -> None:
    own = registered(
        coroutine,
        retry_limit=0,
        concurrency=8,
        backoff_base_ms=0,
        backoff_max_ms=0,
        backoff_jitter=0,
        timeout_ms=1500,
    )

    assert own.policy == Policy(0, Backoff(0, 0, 0))
    assert (own.concurrency, own.limited, own.timeout_s) == (8, True, 1.5)
    assert own.wants_message is True


@pytest.mark.parametrize("concurrency", [0, -1, 9, 1.0, True, "2"])
def test_an_event_gets_no_more_threads_than_there_are(concurrency: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        registered(plain, concurrency=concurrency)

    assert (
        str(raised.value)
        == f"concurrency={concurrency!r}: expected a whole number from 1 to 8 (the consumer's)"
    )


def shares(registrations: dict[str, Registration]) -> dict[str, int]:
    return {event: registration.concurrency for event, registration in registrations.items()}


@pytest.mark.parametrize(
    ("events", "threads", "most"),
    [(1, 8, 8), (2, 8, 7), (3, 8, 7), (2, 2, 1), (2, 1, 1), (1, 1, 1), (0, 4, 4)],
)
def test_no_event_may_take_every_thread_if_there_are_others(events: int, threads: int, most: int) -> None:
    registrations = {str(number): registered(plain) for number in range(events)}

    shared = leave_a_thread_for_others(with_concurrency(registrations, threads), threads)

    assert shares(shared) == dict.fromkeys(registrations, most)


def test_who_says_how_many_may_take_them_all() -> None:
    registrations = {
        "few": registered(plain, concurrency=2),
        "all": registered(plain, concurrency=8),
        "rest": registered(plain),
    }

    assert shares(leave_a_thread_for_others(registrations, 8)) == {"few": 2, "all": 8, "rest": 7}


def test_with_another_concurrency_each_event_has_its_share_of_that() -> None:
    registrations = {"few": registered(plain, concurrency=2), "rest": registered(plain)}

    assert shares(with_concurrency(registrations, 16)) == {"few": 2, "rest": 16}
    assert shares(with_concurrency(registrations, 1)) == {"few": 1, "rest": 1}
    assert shares(registrations) == {"few": 2, "rest": 8}, "the old ones are left as they were"


@pytest.mark.parametrize("timeout_ms", [1, WEEK_MS])
def test_a_timeout_is_good_up_to_its_edges(timeout_ms: int) -> None:
    assert registered(coroutine, timeout_ms=timeout_ms).timeout_s == timeout_ms / 1000


@pytest.mark.parametrize("timeout_ms", [0, -1, WEEK_MS + 1, 1.5, True, "1"])
def test_a_timeout_beyond_its_edges_is_refused(timeout_ms: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        registered(coroutine, timeout_ms=timeout_ms)

    assert str(raised.value) == f"timeout_ms={timeout_ms!r}: expected a whole number from 1 to {WEEK_MS} ms"


@pytest.mark.parametrize("handler", [plain, plain_around_coroutine])
def test_a_timeout_is_for_coroutines_only(handler: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"^timeout_ms=5: a thread cannot be stopped from outside"):
        registered(handler, timeout_ms=5)


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        ("retry_limit", -1),
        ("retry_limit", 1_000_001),
        ("backoff_base_ms", -1),
        ("backoff_base_ms", 300_001),
        ("backoff_max_ms", 999),
        ("backoff_max_ms", 366 * 86_400_000 + 1),
        ("backoff_jitter", 1.5),
    ],
)
def test_an_option_of_an_event_is_checked_like_the_consumers(option: str, bad: Any) -> None:
    with pytest.raises(ConfigError, match=f"(^{option}={bad}|backoff_base_ms={bad}|backoff_max_ms={bad})"):
        registered(plain, **{option: bad})


@pytest.mark.parametrize("event", ["", None, 7, b"user.created", "user.\ud800"])
def test_an_event_needs_a_name(event: Any) -> None:
    with pytest.raises(ConfigError, match=r"^event"):
        registered(plain, event)
