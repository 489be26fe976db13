"""What the tests of the supervisor share: actors that crash, stall and drain on demand."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from streamix_queue.runtime import (
    Actor,
    ChildSpec,
    Supervisor,
)

SOON = 10.0  # a deadline for what should happen at once, on a loaded machine
NEVER = 3600.0
F = TypeVar("F")


class GivenUp(Exception):
    """What the supervisors of the tests raise when restarting does not help."""


class Facts:
    """What the supervisor noticed; a test waits for a fact, never for a time."""

    def __init__(self) -> None:
        self.all: list[object] = []
        self._more = threading.Condition()

    def __call__(self, fact: object) -> None:
        with self._more:
            self.all.append(fact)
            self._more.notify_all()

    def of(self, kind: type[F]) -> list[F]:
        return [fact for fact in list(self.all) if isinstance(fact, kind)]

    def await_(self, kind: type[F], count: int = 1) -> F:
        """Wait for the count-th fact of its kind."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.of(kind)) >= count, SOON), self.all
        return self.of(kind)[count - 1]


class Running:
    """A supervisor whose run() has a thread of its own."""

    def __init__(self, specs: Sequence[ChildSpec], **options: Any) -> None:
        self.facts = Facts()
        quick: dict[str, Any] = {"notice": self.facts, "backoff": lambda n: 0.0, "check_every": 60.0}
        self.supervisor = Supervisor(specs, **(quick | options))
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="streamix.test-run", daemon=True)

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except BaseException as error:  # noqa: BLE001 - the test judges it
            self.error = error

    def join(self) -> None:
        self.thread.join(SOON)
        assert not self.thread.is_alive()

    def stop(self) -> None:
        self.supervisor.stop()
        self.join()


@contextmanager
def supervised(*specs: ChildSpec, **options: Any) -> Iterator[Running]:
    running = Running(specs, **options)
    running.supervisor.start()
    running.thread.start()
    try:
        yield running
    finally:
        running.stop()


class Idle(Actor):
    """Waits, making no progress, until it is stopped."""

    progress_deadline: float | None = None

    def step(self) -> None:
        self.stopping.wait()


class Doing(Idle):
    """One step that does this, then idles."""

    def __init__(self, name: str, work: Callable[["Doing"], object]) -> None:
        super().__init__(name)
        self.work = work
        self.done = False

    def step(self) -> None:
        if not self.done:
            self.done = True
            self.work(self)
        super().step()


class Stubborn(Idle):
    """Does not end when it is stopped, only when it is released."""

    def __init__(self, name: str, release: threading.Event) -> None:
        super().__init__(name)
        self.release = release

    def step(self) -> None:
        self.release.wait()


class Clock:
    """A clock that stands still unless moved; it knows how often it was read."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.reads = 0
        self._read = threading.Condition()

    def __call__(self) -> float:
        with self._read:
            self.reads += 1
            self._read.notify_all()
            return self.now

    def move(self, seconds: float) -> None:
        """Move on, and wait until the supervisor has looked around with the new time."""
        with self._read:
            self.now += seconds
            enough = self.reads + 6  # two reads a look: so two whole looks at least
            assert self._read.wait_for(lambda: self.reads >= enough, SOON)


def spec(name: str, work: Callable[[Doing], object] = lambda me: None, **more: Any) -> ChildSpec:
    return ChildSpec(name, lambda: Doing(name, work), **more)


def crash(error: BaseException) -> Callable[[Doing], object]:
    def work(me: Doing) -> None:
        raise error

    return work


def each_time(*works: Callable[[Doing], object]) -> Callable[[Doing], object]:
    """The first life of a child does the first work, its second life the second; then none."""
    script = iter(works)

    def work(me: Doing) -> None:
        next(script, lambda me: None)(me)

    return work


# Restarts
