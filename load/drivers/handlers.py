"""What the handler of a message does in a scenario, besides being counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from load.payload import EVENT, SLOW_EVENT
from load.tally import Tally

if TYPE_CHECKING:
    from streamix_queue import Consumer, StreamMessage

Handler = Callable[..., None]


class MeantToFail(Exception):
    """Raised by a handler that the scenario lets fail."""


def register(consumer: Consumer, tally: Tally, options: dict[str, Any]) -> None:
    """The handlers that ``options`` ask for.

    ``sleep_ms`` or ``spin`` (turns of a loop) is the work; ``fail_every`` with ``fail`` (``once``,
    ``always`` or ``never``) lets each so-many-th message fail; ``slow_every`` with ``slow_ms`` makes each
    so-many-th message one of a second, slow event.
    """
    handle = _working(tally.handler(), options)
    if "fail_every" in options:
        handle = _failing(tally, options)
    consumer.on(EVENT, handle)
    if "slow_every" in options:
        consumer.on(SLOW_EVENT, _sleeping(tally.handler(), options["slow_ms"] / 1000))


def _working(count: Callable[[dict[str, Any]], None], options: dict[str, Any]) -> Handler:
    if "sleep_ms" in options:
        return _sleeping(count, options["sleep_ms"] / 1000)
    if "spin" in options:
        return _spinning(count, options["spin"])
    return count


def _sleeping(count: Callable[[dict[str, Any]], None], seconds: float) -> Handler:
    def handle(data: dict[str, Any]) -> None:
        time.sleep(seconds)
        count(data)

    return handle


def _spinning(count: Callable[[dict[str, Any]], None], turns: int) -> Handler:
    def handle(data: dict[str, Any]) -> None:
        spin(turns)
        count(data)

    return handle


def spin(turns: int) -> None:
    """Compute, and keep the interpreter to oneself."""
    for _ in range(turns):
        pass


def _failing(tally: Tally, options: dict[str, Any]) -> Handler:
    """Counts a message when it has come to its end, be that a success or its last failure."""
    every, last_attempt = options["fail_every"], options["consumer"].get("retry_limit", 3)
    always, never = options["fail"] == "always", options["fail"] == "never"
    count = tally.handler()

    def handle(data: dict[str, Any], message: StreamMessage) -> None:
        if never or data["n"] % every:
            count(data)
        elif always:
            if message.retries == last_attempt:
                count(data)
            raise MeantToFail
        elif message.retries == 0:
            raise MeantToFail
        else:
            count(data)

    return handle
