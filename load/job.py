"""What a process under test is told, and how it answers. See `load.child` for the other end.

Only the standard library: peers import it in environments of their own.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from load.payload import payload
from load.tally import Tally

_GRACE_S = 0.3  # after the last message: for acks, and for a duplicate to show


@dataclass
class Job:
    """One run of one contestant.

    Attributes:
        role: ``publish`` (timed), ``fill`` (untimed, may be in bulk) or ``consume``.
        url: The server; its database is this run's alone.
        messages: How many to publish, or to expect.
        warmup: How many of them are not timed.
        rate: Messages per second, None for as fast as possible.
        deadline_s: When to give up.
        latencies: The consumer keeps a latency for each message.
        options: What this contestant is to do otherwise.
    """

    role: str
    url: str
    messages: int
    warmup: int = 0
    rate: float | None = None
    deadline_s: float = 60.0
    latencies: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    answer_fd: int = -1
    tally: Tally = field(init=False, repr=False)
    stop_asked: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    def __post_init__(self) -> None:
        # A publisher has no use for marks of ten million messages.
        expected = self.messages if self.role == "consume" else 1
        self.tally = Tally(expected, self.warmup, latencies=self.latencies)

    # --- to the harness ---------------------------------------------------------------------

    def say(self, **answer: Any) -> None:
        """One line to the harness."""
        if self.answer_fd >= 0:
            os.write(self.answer_fd, json.dumps(answer).encode() + b"\n")

    def ready(self) -> None:
        """The consumer is up: publishing may begin."""
        self.say(ready=True)

    # --- publishing -------------------------------------------------------------------------

    def send_all(self, send: Callable[[dict[str, Any]], object]) -> None:
        """Publish every message by ``send``, and report how long it took."""
        began, cpu = time.perf_counter(), time.process_time()
        for n, scheduled_ns in pace(self.messages, self.rate):
            send(payload(n, scheduled_ns))
        self._sent(began, cpu)

    async def send_all_async(self, send: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
        """The same with a coroutine, one at a time."""
        began, cpu = time.perf_counter(), time.process_time()
        # Sleeps without the loop: a timer of the loop is a millisecond late, and nothing else runs.
        for n, scheduled_ns in pace(self.messages, self.rate):
            await send(payload(n, scheduled_ns))
        self._sent(began, cpu)

    def sent(self, seconds: float, **more: Any) -> None:
        """Report a publishing that was not done by `send_all`."""
        self.say(result={"seconds": seconds, "per_second": self.messages / seconds, **more})

    def _sent(self, began: float, cpu: float) -> None:
        seconds = time.perf_counter() - began
        self.sent(seconds, cpu_share=(time.process_time() - cpu) / seconds)

    # --- consuming --------------------------------------------------------------------------

    def wait(self) -> None:
        """Until all messages have come, the harness says stop, or the deadline."""
        deadline = time.monotonic() + self.deadline_s
        while not (self.tally.reached.wait(0.05) or self.stop_asked.is_set()):
            if time.monotonic() > deadline:
                return
        if not self.stop_asked.is_set():
            self._wait_for_the_rest(deadline)

    def _wait_for_the_rest(self, deadline: float) -> None:
        """As many calls as messages have been made; if some were duplicates, others still come."""
        while not self.tally.all_seen and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(_GRACE_S)

    def report(self, **more: Any) -> None:
        """Say what the tally has; the latencies of slow or failing messages apart."""
        result = self.tally.report()
        every = self.options.get("slow_every") or self.options.get("fail_every")
        if self.latencies:
            result["latency"] = self.tally.latency(lambda n: not every or n % every != 0).to_json()
        if self.latencies and every:
            result["latency_apart"] = self.tally.latency(lambda n: n % every == 0).to_json()
        self.say(result={**result, **more})

    def end_when_done(self) -> None:
        """For a consumer that nothing stops: wait beside it, report, and end the process."""

        def watch() -> None:
            self.wait()
            self.report()
            os._exit(0)

        threading.Thread(target=watch, name="load.watch", daemon=True).start()


def pace(messages: int, rate: float | None) -> Iterator[tuple[int, int]]:
    """Give (number, scheduled time) of each message when its time has come; an open loop.

    One that is late is given at once with the time it was meant for, so that what a slow
    contestant delays counts against it, and is not left out (coordinated omission).
    """
    if rate is None:
        for n in range(messages):
            yield n, 0
        return
    _sleep_precisely()
    start = time.monotonic_ns() + 1_000_000
    for n in range(messages):
        due = start + int(n * 1e9 / rate)
        wait = due - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        yield n, due


def _sleep_precisely() -> None:
    """Linux rounds a sleep up by 50 µs, a fifth of the latency to be measured, unless asked not to."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK, 1 ns


def main(
    publish: Callable[[Job], None],
    consume: Callable[[Job], None],
    fill: Callable[[Job], None] | None = None,
) -> None:
    """Do the job in ``argv[1]`` (JSON)."""
    job = Job(**json.loads(sys.argv[1]))
    threading.Thread(target=_obey, args=(job,), name="load.obey", daemon=True).start()
    {"publish": publish, "consume": consume, "fill": fill or publish}[job.role](job)


def _obey(job: Job) -> None:
    """The harness writes a line to ask for a stop; when it is gone, so are we."""
    if os.read(0, 1):
        job.stop_asked.set()
        os.read(0, 1)
    os._exit(3)
