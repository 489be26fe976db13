"""Holds a publisher back while the slowest group of its stream is too far behind."""

from __future__ import annotations

import random
import time
from collections import deque

from streamix_queue.broker.protocol import PublisherBroker
from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.hold_back import Gate, Wait
from streamix_queue.forks import PerProcess
from streamix_queue.telling.observers import Notice

__all__ = ["HoldBack"]


class HoldBack:
    """Asks the broker, waits and tells, as its `Gate` decides. Thread-safe, and safe after ``fork()``.

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
        notice: Notice,
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._notice = notice
        self._gate = Gate(stream, limit, on_full, timeout_s)
        # One token: the thread that has it looks. (A deque's pop is atomic.)
        self._token = PerProcess(lambda: deque((None,)))

    def admit(self, count: int) -> bool:
        """Ask whether ``count`` more messages may be published; False if they are to be shed.

        Raises:
            BacklogFull: they may not.
            BrokerRefused, WrongKeyType: Redis does not tell how far the groups are.
        """
        gate, began = self._gate, time.monotonic()
        if gate.passes(count, began):
            return True
        while True:
            try:
                is_known = self._look()
            except BrokerUnavailable:
                return True  # the write finds out as well, and has its own patience
            now = time.monotonic()
            decision = gate.decide(
                count,
                now - began,
                now,
                random.random(),  # noqa: S311 - parts the threads
                is_known=is_known,
            )
            if not isinstance(decision, Wait):
                return decision
            time.sleep(decision.seconds)

    def _look(self) -> bool:
        """Look, if it is time to; False if another thread does, and has not told yet what it found."""
        if not self._gate.is_due(time.monotonic()):
            return True
        token = self._token.get()
        try:
            token.pop()
        except IndexError:
            return False
        try:
            began = time.monotonic()
            if not self._gate.is_due(began):
                return True  # the thread that had the token before has looked in between
            backlog = self._broker.backlog(self._stream, self._gate.enough)
            fact = self._gate.found(backlog.group, backlog.count, began, time.monotonic())
            if fact is not None:
                self._notice(fact)
        except BrokerUnavailable:
            self._gate.away(time.monotonic())
            raise
        finally:
            token.append(None)
        return True
