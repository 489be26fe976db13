"""Holds a publisher back while the slowest group of its stream is too far behind."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable

from streamix_queue.broker.protocol import Backlog, PublisherBroker
from streamix_queue.core.errors import BacklogFull, BrokerUnavailable
from streamix_queue.core.facts import BackpressureBegan, BackpressureEnded, Fact
from streamix_queue.core.hold_back import allowance, low_watermark
from streamix_queue.forks import PerProcess

__all__ = ["Backpressure"]

_LOOK_EVERY_S = 1.0
_LOOK_EVERY_WHEN_FULL_S = 0.1
_ANOTHER_LOOKS_S = 0.001
# Counting may be dear where Redis knows no lag: then it is done less often.
_SHARE_OF_TIME = 10


class Backpressure:
    """Thread-safe without a lock, and safe after ``fork()``.

    The backlog is looked at once a second, or when so much was published that it may have grown
    a lot; all other calls only count. One thread looks; the others may publish as much again
    meanwhile, and then wait for what it finds.

    Args:
        broker: Whom to ask.
        stream: The stream.
        limit: The high watermark.
        on_full: ``block``, ``raise`` or ``shed``.
        timeout_s: How long to block, in seconds.
        notice: Told when it begins and ends.
    """

    def __init__(
        self,
        broker: PublisherBroker,
        stream: str,
        *,
        limit: int,
        on_full: str,
        timeout_s: float,
        notice: Callable[[Fact], None],
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._limit = limit
        self._low = low_watermark(limit)
        self._on_full = on_full
        self._timeout_s = timeout_s if on_full == "block" else 0.0
        self._notice = notice
        self._backlog = Backlog("", 0)
        # Written by the thread that looks; the count of what is left also by others, and need not be exact.
        self._left = self._allowance = 0
        self._next_look = 0.0
        self._full_since: float | None = None
        # One token: the thread that has it looks. (A deque's pop is atomic.)
        self._token = PerProcess(lambda: deque((None,)))

    def admit(self, count: int) -> bool:
        """Ask whether ``count`` more messages may be published; False if they are to be shed.

        Raises:
            BacklogFull: they may not.
            BrokerRefused, WrongKeyType: Redis does not tell how far the groups are.
        """
        if self._full_since is None and self._left > 0 and time.monotonic() < self._next_look:
            self._left -= count
            return True
        began = time.monotonic()
        while True:
            try:
                is_known = self._look()
            except BrokerUnavailable:
                return True  # the write finds out as well, and has its own patience
            if self._full_since is None:
                if is_known or self._left > -self._allowance:
                    self._left -= count
                    return True
                time.sleep(_ANOTHER_LOOKS_S)  # bounded by the broker's own patience
                continue
            if self._on_full == "shed":
                return False
            left = self._timeout_s - (time.monotonic() - began)
            if left <= 0:
                raise self._refusal()
            wait = max(self._next_look - time.monotonic(), _LOOK_EVERY_WHEN_FULL_S / 10)
            time.sleep(min(left, wait * random.uniform(1.0, 1.5)))  # noqa: S311 - parts the threads

    def _look(self) -> bool:
        """Look, if it is time to; False if another thread does, and has not told yet what it found."""
        began = time.monotonic()
        if began < self._next_look and (self._left > 0 or self._full_since is not None):
            return True
        token = self._token.get()
        try:
            token.pop()
        except IndexError:
            return False
        try:
            full = self._full_since is not None
            self._backlog = self._broker.backlog(self._stream, self._low if full else self._limit)
            self._judge(self._backlog, full=full)
            self._left = self._allowance = allowance(self._backlog.count, self._limit)
            took = time.monotonic() - began
            every = _LOOK_EVERY_WHEN_FULL_S if self._full_since is not None else _LOOK_EVERY_S
            self._next_look = time.monotonic() + max(every, took * _SHARE_OF_TIME)
        except BrokerUnavailable:
            if self._full_since is None:  # or each write would wait twice for a server that is away
                self._left = self._allowance = allowance(self._limit, self._limit)
                self._next_look = time.monotonic() + _LOOK_EVERY_S
            raise
        finally:
            token.append(None)
        return True

    def _judge(self, backlog: Backlog, *, full: bool) -> None:
        now = time.monotonic()
        if not full and backlog.count >= self._limit:
            self._full_since = now
            self._notice(BackpressureBegan(self._stream, backlog.group, backlog.count, self._limit))
        elif full and backlog.count <= self._low:
            seconds, self._full_since = now - (self._full_since or now), None
            self._notice(BackpressureEnded(self._stream, backlog.group, backlog.count, seconds))

    def _refusal(self) -> BacklogFull:
        backlog = self._backlog
        who = f"group {backlog.group!r} of stream" if backlog.group else "no group reads stream"
        waited = f" after {self._timeout_s:g} s" if self._timeout_s else ""
        return BacklogFull(
            f"{who} {self._stream!r}: at least {backlog.count} messages to be handled{waited}, "
            f"max_backlog={self._limit}; nothing was written",
            backlog.group,
            backlog.count,
        )
