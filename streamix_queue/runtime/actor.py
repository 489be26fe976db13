"""The actor: one thread, one loop."""

import random
import threading
import time

from .mailbox import Closed


def exponential(attempt: int, base: float, cap: float) -> float:
    """Seconds to wait; jitter parts those that failed together, min() survives a long outage."""
    jitter = 0.5 + random.random() / 2  # noqa: S311 - no secret
    return min(cap, base * 2.0 ** min(attempt, 64)) * jitter


class Actor:
    """Setup, step, step, ..., teardown in one thread; an exception out of them is a crash."""

    progress_deadline: float | None = 30.0  # seconds a step may take; None: not watched
    transient: tuple[type[BaseException], ...] = ()  # waited out in the loop, no crashes

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping = threading.Event()  # set by any thread
        self.replaced = False  # written by the supervisor's thread, read by any
        self.last_progress = time.monotonic()  # written by the actor's thread, read by any

    def setup(self) -> None:
        """Begin; tried again after a transient error."""

    def step(self) -> None:
        """Do one unit of work, within progress_deadline or with beats between."""

    def teardown(self) -> None:
        """End; always runs, after a crash and even if setup never did."""

    def wake(self) -> None:
        """Unblock step(), without blocking. If replaced, close nothing a successor reads."""

    def stop(self) -> None:
        """From any thread. To drain, override it: close the mailbox and leave stopping alone."""
        self.stopping.set()
        self.wake()

    def replace(self) -> None:
        """From the supervisor thread: this actor stalled, a successor takes its place."""
        self.replaced = True
        self.stopping.set()  # there is nothing to drain any more
        self.stop()

    def beat(self) -> None:
        self.last_progress = time.monotonic()

    def rest(self, seconds: float) -> bool:
        """Wait without looking stalled; True, and at once, when stopping."""
        longest = 60.0 if self.progress_deadline is None else self.progress_deadline / 3
        until = time.monotonic() + seconds
        while not self.stopping.is_set():
            self.beat()
            if (left := until - self.last_progress) <= 0:
                return False
            self.stopping.wait(min(left, longest))
        return True

    def on_transient(self, error: BaseException, attempt: int) -> float:
        """Seconds to wait after the attempt-th failure in a row."""
        return exponential(attempt, 0.05, 1.0)

    def run(self) -> None:
        ready, failures = False, 0
        try:
            while not self.stopping.is_set():
                self.beat()
                try:
                    if ready:
                        self.step()
                        failures = 0
                    else:
                        self.setup()
                        ready = True
                except self.transient as error:
                    failures += 1
                    self.rest(self.on_transient(error, failures))
        except Closed:  # our mailbox is closed and empty: a normal end
            pass
        finally:
            self.teardown()
