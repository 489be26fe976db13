"""One-for-one supervision: a child that crashes or stalls is built anew, within limits."""

import contextvars
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from .actor import Actor, exponential
from .mailbox import Mailbox


@dataclass(frozen=True)
class ChildSpec:
    """``build`` makes a fresh actor; what must survive a restart is handed in by the wiring."""

    name: str
    build: Callable[[], Actor]
    shutdown: float = 5.0  # seconds it may take to end
    stage: int = 0  # neighbours of one stage stop together


@dataclass(frozen=True)
class ChildStarted:
    """Its thread runs."""

    name: str


@dataclass(frozen=True)
class ChildCrashed:
    """The error has no frames: they would keep payloads in memory."""

    name: str
    error: BaseException
    traceback: str


@dataclass(frozen=True)
class ChildRestarted:
    """It runs again: its attempt-th restart in the period, ``after`` so many seconds."""

    name: str
    attempt: int
    after: float


@dataclass(frozen=True)
class ChildStalled:
    """It made no progress and was given up; its thread may live on."""

    name: str
    seconds: float


@dataclass(frozen=True)
class ChildStuck:
    """It did not end within its shutdown deadline; a thread cannot be killed."""

    name: str


class RestartsExceeded(Exception):
    """Restarting does not help; raised from the last error."""


class _Exit(NamedTuple):
    name: str
    actor: Actor
    crash: ChildCrashed | None


class _Child:
    """Owned by the supervisor thread; others only read the reference ``actor``."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec, self.thread = spec, threading.current_thread()  # until it has its own
        self.actor: Actor | None = None  # None: not running
        self.restart: ChildRestarted | None = None  # planned for ``due``
        self.due = self.beat = self.seen = 0.0  # seen: when its beat last changed


def _autopsy(name: str, error: BaseException) -> ChildCrashed:
    """Format at once, the last 8 KiB, and let go of the frames and of the chain's."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    for link in (error, *getattr(error, "exceptions", ())):  # those of an ExceptionGroup, 3.11+
        link.__traceback__ = link.__cause__ = link.__context__ = None
    return ChildCrashed(name, error, text.encode(errors="replace")[-8192:].decode(errors="ignore"))


def _launch(name: str, actor: Actor, exits: Mailbox[_Exit | None]) -> threading.Thread:
    """The one place that makes a thread: in a fresh context, so no span of ours leaks in."""

    def live() -> None:
        crash = None
        try:
            actor.run()
        except BaseException as error:  # noqa: BLE001 - SystemExit must not end it unseen either
            crash = _autopsy(name, error)
        finally:
            exits.put(_Exit(name, actor, crash))

    life = contextvars.Context().run
    # A daemon, lest a stuck child hang the exit: run() stops the others in good order.
    thread = threading.Thread(target=life, args=(live,), name=f"streamix.{name}", daemon=True)
    thread.start()
    return thread


class Supervisor:
    """Every field is owned by the thread of start() and run(); stop() and child() are for any."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        intensity: int = 5,
        period: float = 60.0,
        backoff: Callable[[int], float] = lambda attempt: exponential(attempt, 0.05, 30.0),
        notice: Callable[[object], None] = lambda _fact: None,
        check_every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stuck: list[str] = []
        self._children = {spec.name: _Child(spec) for spec in specs}
        self._intensity, self._period, self._backoff = intensity, period, backoff
        self._notice, self._check_every, self._clock = notice, check_every, clock
        self._letters: Mailbox[_Exit | None] = Mailbox()  # None: stop
        self._failures: deque[tuple[float, str]] = deque()
        self._looked = float("-inf")  # never yet: the first look judges nobody
        self._ending = False

    def start(self) -> None:
        try:
            for child in self._children.values():
                self._spawn(child)
                self._notice(ChildStarted(child.spec.name))
        except BaseException:
            self._end()
            raise

    def run(self) -> None:
        try:
            while self._look():
                pass
        finally:
            self._end()

    def stop(self) -> None:
        self._letters.put(None)

    def child(self, name: str) -> Actor | None:
        return self._children[name].actor

    @property
    def last_look(self) -> float:
        """By its clock, when it last saw to its children; -inf before the first time."""
        return self._looked

    def _spawn(self, child: _Child) -> None:
        actor = child.spec.build()
        child.thread = _launch(child.spec.name, actor, self._letters)
        child.actor, child.beat, child.seen = actor, actor.last_progress, self._clock()

    def _look(self) -> bool:
        """Act on every death, stall and due restart; False once asked to stop."""
        children, now = self._children.values(), self._clock()
        dues = [child.due - now for child in children if child.restart is not None]
        for letter in self._letters.get_many(1, max(0.0, min([self._check_every, *dues]))):
            if letter is None:
                return False
            self._on_exit(letter)
        now = self._clock()
        gap, self._looked = now - self._looked, now
        for child in children:
            if gap > 3 * self._check_every:
                child.seen = now  # we did not run (SIGSTOP, a held GIL), so nor did it: no verdict
            if child.actor is not None:
                self._judge(child, child.actor, now)
            elif child.restart is not None and child.due <= now:
                self._rebuild(child, child.restart)
        return True

    def _judge(self, child: _Child, actor: Actor, now: float) -> None:
        deadline = actor.progress_deadline
        if deadline is None or child.beat != actor.last_progress:
            child.seen, child.beat = now, actor.last_progress
        idle = now - child.seen
        if deadline is not None and idle > deadline and child.thread.is_alive():
            child.actor = None  # so its late Exit is nobody's
            self._notice(ChildStalled(child.spec.name, idle))
            self._ask(child, actor.abandon)
            self._failed(child, TimeoutError(f"no progress for {idle:.1f} s"))

    def _rebuild(self, child: _Child, restart: ChildRestarted) -> None:
        child.restart = None
        try:
            self._spawn(child)
        except Exception as error:  # noqa: BLE001 - build() failed, or no thread could be had
            self._notice(_autopsy(child.spec.name, error))
            self._failed(child, error)
        else:
            self._notice(restart)

    def _on_exit(self, letter: _Exit) -> None:
        child, crash = self._children[letter.name], letter.crash
        if child.actor is not letter.actor:
            return
        child.actor = None
        if crash is None and not (self._ending or letter.actor.stopping.is_set()):
            crash = ChildCrashed(letter.name, RuntimeError("ended though nobody asked it to"), "")
        if crash is not None:
            self._notice(crash)
            self._failed(child, crash.error)

    def _failed(self, child: _Child, error: BaseException) -> None:
        if self._ending:
            return
        now, name, failures = self._clock(), child.spec.name, self._failures
        failures.append((now, name))
        while now - failures[0][0] > self._period:
            failures.popleft()
        if len(failures) > self._intensity:
            count = f"{len(failures)} failures within {self._period:g} s"
            raise RestartsExceeded(f"{name}: {count}, {self._intensity} allowed") from error
        attempt = sum(failed == name for _, failed in failures)
        child.restart = ChildRestarted(name, attempt, self._backoff(attempt))
        child.due = now + child.restart.after

    def _ask(self, child: _Child, order: Callable[[], None]) -> None:
        try:
            order()
        except Exception as error:  # noqa: BLE001 - one failing wake() must not save the others
            self._notice(_autopsy(child.spec.name, error))

    def _end(self) -> None:
        """Stop in reverse order: a stage together, under one deadline."""
        self._ending = True
        for _, stage in groupby(reversed(self._children.values()), lambda c: c.spec.stage):
            living = [(child, child.actor) for child in stage if child.actor is not None]
            # join() takes real time, whatever clock we were given.
            deadline = time.monotonic() + max((c.spec.shutdown for c, _ in living), default=0.0)
            for child, actor in living:
                self._ask(child, actor.stop)
            for child, actor in living:
                child.thread.join(max(0.0, deadline - time.monotonic()))
                if child.thread.is_alive():
                    actor.stopping.set()  # also when it drains: end at the next chance
                    self.stuck.append(child.spec.name)
                    self._notice(ChildStuck(child.spec.name))
        while letters := self._letters.get_many(64, 0.0):  # last words: no crash goes unseen
            for letter in filter(None, letters):
                self._on_exit(letter)
