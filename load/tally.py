"""Counts what a handler gets: each message exactly once, or it is said which not.

Only the standard library: peers import it in environments of their own.
"""

from __future__ import annotations

import itertools
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

from load.histogram import Histogram


class Tally:
    """Thread-safe without a lock, and cheap, for its cost is part of every rate.

    Every call draws a number from a counter, which is atomic, and marks its message, which is
    idempotent. So calls minus marks are the duplicates, and messages minus marks the lost.

    Args:
        messages: How many there are; their numbers are 0 to ``messages - 1``.
        warmup: So many calls pass before the clock starts.
        latencies: Also keep how long after its ``t`` each message came.
    """

    def __init__(self, messages: int, warmup: int = 0, *, latencies: bool = False) -> None:
        self.messages = messages
        self.warmup = min(warmup, messages - 1)
        self.reached = threading.Event()
        self._seen = bytearray(messages)
        # Filled beforehand: a list that grows would be taken for a leak of the consumer.
        self._latencies = array("q", bytes(8 * messages)) if latencies else None
        self._calls = itertools.count(1)
        self._first_ns = 0
        self._last_ns = 0
        self._first_cpu = 0.0
        self._last_cpu = 0.0
        self.hit: Callable[[int, int], None] = self._make_hit()

    def handler(self) -> Callable[[dict[str, Any]], None]:
        """`hit` as a handler of a message's data. Spelled out: a second call would be measured too."""
        if self._latencies is not None:
            hit = self.hit

            def handle_with_latency(data: dict[str, Any]) -> None:
                hit(data["n"], data["t"])

            return handle_with_latency

        tick, seen = self._calls.__next__, self._seen
        ends, milestone = {self.warmup + 1, self.messages}, self._milestone

        def handle(data: dict[str, Any]) -> None:
            seen[data["n"]] = 1
            call = tick()
            if call in ends:
                milestone(call)

        return handle

    def _make_hit(self) -> Callable[[int, int], None]:
        tick, seen, latencies = self._calls.__next__, self._seen, self._latencies
        ends, milestone = {self.warmup + 1, self.messages}, self._milestone
        clock = time.monotonic_ns

        def hit(n: int, scheduled_ns: int) -> None:
            if latencies is not None:
                latencies[n] = clock() - scheduled_ns
            seen[n] = 1
            call = tick()
            if call in ends:
                milestone(call)

        return hit

    def _milestone(self, call: int) -> None:
        if call == self.warmup + 1:
            self._first_ns, self._first_cpu = time.monotonic_ns(), time.process_time()
        if call == self.messages:
            self._last_ns, self._last_cpu = time.monotonic_ns(), time.process_time()
            self.reached.set()

    @property
    def first_ns(self) -> int:
        """``time.monotonic_ns()`` at the first call after the warm-up."""
        return self._first_ns

    @property
    def all_seen(self) -> bool:
        """True when every message has come at least once."""
        return self._seen.count(1) == self.messages

    def report(self) -> dict[str, Any]:
        """What there is to say, as JSON. Ends the counting: call it once, at the end."""
        calls = next(self._calls) - 1
        unique = self._seen.count(1)
        done = self._last_ns > 0
        seconds = (self._last_ns - self._first_ns) / 1e9
        return {
            "handled": calls,
            "lost": self.messages - unique,
            "duplicates": calls - unique,
            "seconds": seconds if done else None,
            "per_second": (self.messages - self.warmup) / seconds if done and seconds > 0 else None,
            "first_ns": self._first_ns,
            "last_ns": self._last_ns,
            "cpu_share": (self._last_cpu - self._first_cpu) / seconds if done and seconds > 0 else None,
        }

    def latency(self, keep: Callable[[int], bool] = lambda n: True) -> Histogram:
        """Latencies of the messages that came and whose number ``keep`` takes, after the warm-up."""
        histogram = Histogram()
        if self._latencies is not None:
            for n in range(self.warmup, self.messages):
                if self._seen[n] and keep(n):
                    histogram.record(self._latencies[n] / 1e9)
        return histogram

    def marks(self) -> bytes:
        """One byte a message, 1 if it came: for adding up over processes."""
        return bytes(self._seen)
