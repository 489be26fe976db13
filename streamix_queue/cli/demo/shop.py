"""The two services of `streamix demo`, and what they handled."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from streamix_queue import Consumer, StreamMessage
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.facts import Fact, Settled

__all__ = ["EVENT", "STREAM", "Billing", "Mailer"]

STREAM = "shop.events"
EVENT = "order.placed"
_WORK_S = 0.08


class Billing:
    """Charges orders with four threads. Some cards need a second or a third try; one is declined.

    Args:
        url: The server.
        trouble: Number of the order → how often charging it fails.

    Attributes:
        settled: Every attempt, once Redis has confirmed its end.
        at_once: The most handlers that ever ran at the same time.
    """

    def __init__(self, url: str, trouble: dict[int, int]) -> None:
        self.settled: queue.SimpleQueue[Attempt] = queue.SimpleQueue()
        self.charged: list[str] = []  # appending is atomic
        self.at_once = 0
        self._trouble = trouble
        self._running = 0
        self._lock = threading.Lock()  # guards the three above
        self.consumer = Consumer(
            url,
            STREAM,
            "billing",
            concurrency=4,
            retry_limit=3,
            backoff_base_ms=200,
            observers=[self],
        )
        self.consumer.on(EVENT, self.charge)

    def charge(self, data: dict[str, Any], message: StreamMessage) -> None:
        """The handler: raises what the card network says."""
        with self._lock:
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            fails = self._trouble.get(data["order"], 0) > 0
            if fails:
                self._trouble[data["order"]] -= 1
        try:
            time.sleep(_WORK_S)
            if fails:
                raise TimeoutError("the card network is silent")
            self.charged.append(message.id)
        finally:
            with self._lock:
                self._running -= 1

    def repair(self) -> None:
        """The card network answers again."""
        with self._lock:
            self._trouble.clear()

    def notice(self, fact: Fact) -> None:
        """Hear what became of the attempts. Called on the settler's thread."""
        if isinstance(fact, Settled):
            for attempt in fact.attempts:
                self.settled.put(attempt)


class Mailer:
    """Another service on the same stream, whose handler never fails: it gets each order once."""

    def __init__(self, url: str) -> None:
        self.seen: list[str] = []
        self.consumer = Consumer(url, STREAM, "mailer")
        self.consumer.on(EVENT, self.mail)

    def mail(self, data: dict[str, Any], message: StreamMessage) -> None:
        """The handler."""
        self.seen.append(message.id)
