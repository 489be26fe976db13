"""Run one attempt: call the handler and turn every ending into one outcome. No Redis."""

from __future__ import annotations

import inspect
import random
import time
import traceback
from collections.abc import Callable
from contextvars import Context
from typing import Any

import msgspec

from streamix_queue.actors.event_loop import EventLoop
from streamix_queue.core.attempt import Attempt, Failure
from streamix_queue.core.facts import ProcessInterceptor
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.outcome import ACK, DeadLetter, Outcome, Reason, decide
from streamix_queue.core.redact import redact_text
from streamix_queue.core.registration import Registration
from streamix_queue.telling.interceptors import enter_all, leave_all

__all__ = ["Executor", "describe"]

_MAX_TRACEBACK = 8192
_MAX_ERROR = 2000


class Executor:
    """Runs attempts on the threads of the workers; holds no state of its own.

    Args:
        interceptors: Entered around the handler, outermost first.
        loop: Where coroutines run.
        spread: Random numbers from 0 to 1 for the jitter of retries.
        new_context: Makes the context that an attempt runs in; an empty one by default.
    """

    def __init__(
        self,
        interceptors: tuple[ProcessInterceptor, ...],
        loop: EventLoop,
        spread: Callable[[], float] = random.random,
        new_context: Callable[[], Context] = Context,
    ) -> None:
        self._loop = loop
        self._new_context = new_context
        self._spread = spread
        self._openers = tuple(interceptor.processing for interceptor in interceptors)
        # Chosen once: without telemetry there is nothing of it on the way of a message.
        self._run = self._surrounded if interceptors else self._call

    def run(self, attempt: Attempt) -> None:
        """Run the handler, note when, and close the attempt.

        Each attempt has a context of its own, so that what a handler binds ends with it.
        """
        attempt.started_at = time.perf_counter()
        self._new_context().run(self._run, attempt)

    def _surrounded(self, attempt: Attempt) -> None:
        scopes = enter_all(self._openers, attempt)
        self._call(attempt)
        if scopes is not None:
            leave_all(scopes)

    def _call(self, attempt: Attempt) -> None:
        registration, message = attempt.registration, attempt.message
        assert registration is not None
        assert message is not None
        try:
            data: Any = message.data
            if registration.payload_type is not None:
                data = msgspec.convert(data, registration.payload_type)
            handler = registration.handler
            result = handler(data, _copy(message)) if registration.wants_message else handler(data)
            # A coroutine of a handler that did not look like one must not be dropped un-awaited.
            if result is not None and inspect.isawaitable(result):
                self._loop.run(result, registration.timeout_s)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a handler is a failure of it
            attempt.finished_at = time.perf_counter()
            outcome = self._judge(registration, message.retries, error)
            # Only a dead letter shows a traceback, and to write one takes as long as ten messages.
            attempt.close(outcome, describe(error, trace=isinstance(outcome, DeadLetter)))
        else:
            attempt.finished_at = time.perf_counter()
            attempt.close(ACK)

    def _judge(self, registration: Registration, retries: int, error: BaseException) -> Outcome:
        if isinstance(error, msgspec.ValidationError) and _from_conversion(error, registration):
            return DeadLetter(Reason.INVALID)
        return decide(registration.policy, retries, error, self._spread())


def _copy(message: StreamMessage) -> StreamMessage:
    """A copy: what the handler changes in it must not reach the settler."""
    times = Timestamps(message.timestamps.created_at, message.timestamps.updated_at)
    return StreamMessage(message.id, message.event, message.data, message.retries, times)


def _from_conversion(error: BaseException, registration: Registration) -> bool:
    """True if our own conversion raised it, and not a conversion inside the handler."""
    if registration.payload_type is None or error.__traceback__ is None:
        return False
    return error.__traceback__.tb_next is None


def describe(error: BaseException, *, trace: bool = True) -> Failure:
    """``error`` as bounded text without secrets; keeps no frame, which would pin the payload.

    Args:
        error: What the handler raised.
        trace: Whether to write out the traceback: much more work than the rest.
    """
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - a handler's exception may have a broken __str__
        text = "<unprintable error>"
    # Twice the length first: a URL that is cut in two cannot be told any more.
    text = redact_text(text[: 2 * _MAX_ERROR])[:_MAX_ERROR]
    return Failure(redact_text(_name(type(error))), text, _trace(error) if trace else "")


def _trace(error: BaseException) -> str:
    own_frame = error.__traceback__
    handlers_frame = own_frame.tb_next if own_frame is not None else None
    lines = traceback.format_exception(type(error), error, handlers_frame or own_frame)
    return redact_text("".join(lines)[-2 * _MAX_TRACEBACK :])[-_MAX_TRACEBACK:]


def _name(kind: type[BaseException]) -> str:
    module = kind.__module__
    if module.startswith("streamix_queue."):
        module = "streamix_queue"  # as it is imported, and not where it happens to lie
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"
