"""Running one delivery: every ending becomes one outcome."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from streamix_queue.actors.event_loop import EventLoop
from streamix_queue.actors.executor import Executor, describe
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.errors import Reject, Retry
from streamix_queue.core.outcome import ACK, DeadLetter, Reason, RetryLater
from streamix_queue.core.registration import is_async, takes_message, typed_payload
from streamix_queue.core.wire import build
from tests.actors.workbench import EVENT, registration
from tests.held.hall import delivery as delivery_of


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop()
    yield made
    made.close()


def attempt(handler: Callable[..., Any], data: dict[str, Any] | None = None, *, retries: int = 0) -> Attempt:
    made = delivery_of(EVENT)
    made.message = build(EVENT, data or {}, "id", "now")
    made.message.retries = retries
    made.registration = replace(
        registration(EVENT),
        handler=handler,
        wants_message=takes_message(handler),
        is_async=is_async(handler),
        payload_type=typed_payload(handler),
    )
    return made


def run(loop: EventLoop, made: Attempt) -> Attempt:
    Executor((), loop).run(made)
    return made


def test_a_handler_that_returns_is_a_success(loop: EventLoop) -> None:
    got: list[Any] = []

    done = run(loop, attempt(got.append, {"a": 1}))

    assert done.outcome is ACK
    assert got == [{"a": 1}]
    assert 0 < done.started_at <= done.finished_at


def test_a_handler_with_two_parameters_gets_the_message_too(loop: EventLoop) -> None:
    got: list[Any] = []

    def handler(data: Any, message: Any) -> None:
        got.append((data, message.id, message.retries))

    run(loop, attempt(handler, {"a": 1}, retries=2))

    assert got == [({"a": 1}, "id", 2)]


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_a_handler_raises_is_a_failure_of_it(loop: EventLoop, error: BaseException) -> None:
    def handler(data: Any) -> None:
        raise error

    done = run(loop, attempt(handler))

    assert done.outcome == RetryLater(1000)
    assert done.failure is not None
    assert done.failure.error_type == type(error).__name__


def test_retry_and_reject_decide_for_themselves(loop: EventLoop) -> None:
    def later(data: Any) -> None:
        raise Retry(after=2.5)

    def never(data: Any) -> None:
        raise Reject("no such user")

    assert run(loop, attempt(later)).outcome == RetryLater(2500)
    assert run(loop, attempt(never)).outcome == DeadLetter(Reason.REJECTED)


def test_the_last_attempt_is_a_dead_letter(loop: EventLoop) -> None:
    def handler(data: Any) -> None:
        raise ValueError

    assert run(loop, attempt(handler, retries=3)).outcome == DeadLetter(Reason.RETRIES_EXHAUSTED)


def test_a_coroutine_runs_on_the_one_loop_thread_and_sees_the_callers_context(loop: EventLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[tuple[str, str]] = []

    async def handler(data: Any) -> None:
        await asyncio.sleep(0)
        seen.append((variable.get(), threading.current_thread().name))

    class Bound:
        @contextmanager
        def processing(self, attempt: Attempt) -> Iterator[None]:
            variable.set("bound")
            yield

    Executor((Bound(),), loop).run(attempt(handler))

    assert seen == [("bound", "streamix.event-loop")]


def test_a_coroutine_that_a_plain_handler_returns_is_awaited(loop: EventLoop) -> None:
    awaited: list[int] = []

    async def work() -> None:
        awaited.append(1)

    done = run(loop, attempt(lambda data: work()))

    assert done.outcome is ACK
    assert awaited == [1]


def test_a_coroutine_past_its_time_is_cancelled_and_counts_as_a_failure(loop: EventLoop) -> None:
    cancelled = threading.Event()

    async def handler(data: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    late = attempt(handler, retries=3)
    assert late.registration is not None
    late.registration = replace(late.registration, timeout_s=0.01)

    assert run(loop, late).outcome == DeadLetter(Reason.TIMEOUT)
    assert cancelled.is_set()


def test_a_payload_that_does_not_fit_the_handlers_type_is_invalid_at_once(loop: EventLoop) -> None:
    assert run(loop, attempt(handle_order, {"amount": "many"})).outcome == DeadLetter(Reason.INVALID)
    assert run(loop, attempt(handle_order, {"amount": 3})).outcome is ACK


@dataclass
class Order:
    amount: int


def handle_order(order: Order) -> None:
    assert order == Order(3)


def test_what_a_handler_binds_ends_with_its_message(loop: EventLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")
    seen: list[str] = []

    def handler(data: Any) -> None:
        seen.append(variable.get())
        variable.set("dirty")

    run(loop, attempt(handler))
    run(loop, attempt(handler))

    assert seen == ["clean", "clean"]


def test_a_failure_keeps_no_frame_and_so_no_payload(loop: EventLoop) -> None:
    class Payload(dict[str, Any]):
        pass

    payload = Payload(size="large")
    gone = weakref.ref(payload)

    def handler(data: Any) -> None:
        local = data
        raise ValueError(len(local))

    done = attempt(handler)
    assert done.message is not None
    done.message.data = payload
    gc.disable()
    try:
        run(loop, done)
        done.message.data = {}
        del payload
        assert gone() is None
    finally:
        gc.enable()


def test_a_description_is_bounded_and_names_no_secret() -> None:
    try:
        raise ConnectionError("redis://user:S3CR3T@host/0 refused " + "x" * 100_000)
    except ConnectionError as error:
        failure = describe(error)

    assert "S3CR3T" not in failure.error + failure.traceback
    assert len(failure.error) <= 2000
    assert len(failure.traceback) <= 8192


def test_an_error_that_cannot_be_printed_is_described_all_the_same() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe(Broken()).error == "<unprintable error>"
