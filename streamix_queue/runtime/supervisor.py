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
    """``build`` makes a new actor; what must survive a restart is handed in by the wiring."""

    name: str
    build: Callable[[], Actor]
    shutdown: float = 5.0  # seconds it may take to end
    stage: int = 0  # each starts after those below it, and stops before them, a stage together


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
class ChildOverran:
    """It did not end within its ``seconds`` to end; a thread cannot be killed, so it lives on."""

    name: str
    seconds: float


class _Exit(NamedTuple):
    name: str
    actor: Actor
    crash: ChildCrashed | None


class _Add(NamedTuple):
    spec: ChildSpec


class _Remove(NamedTuple):
    name: str


class _Stop(NamedTuple):
    pass


_Order = _Exit | _Add | _Remove | _Stop


class _Child:
    """Owned by the thread of start(), and from run() on by that of run(); others read ``actor`` only."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec, self.thread = spec, threading.current_thread()  # until it has its own
        self.actor: Actor | None = None  # None: not running
        self.restart: ChildRestarted | None = None  # planned for ``due``
        self.due = self.beat = self.seen = 0.0  # seen: when its beat last changed
        self.gone_by: float | None = None  # asked to end for good, until then; None: it is to live


def _crash_of(name: str, error: BaseException) -> ChildCrashed:
    """Write the traceback out at once (its last 8 KiB), then drop the frames, which pin payloads."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    for link in (error, *getattr(error, "exceptions", ())):  # those of an ExceptionGroup, 3.11+
        link.__traceback__ = link.__cause__ = link.__context__ = None
    return ChildCrashed(name, error, text.encode(errors="replace")[-8192:].decode(errors="ignore"))


def _launch(name: str, actor: Actor, exits: Mailbox[_Order]) -> threading.Thread:
    """Make the thread of an actor, in an empty context: no span of who starts it is current there."""

    def live() -> None:
        crash = None
        try:
            actor.run()
        except BaseException as error:  # noqa: BLE001 - SystemExit must not end it unseen either
            crash = _crash_of(name, error)
        finally:
            exits.put(_Exit(name, actor, crash))

    life = contextvars.Context().run
    # A daemon, lest a child that overran hangs the exit: run() stops the others in good order.
    thread = threading.Thread(target=life, args=(live,), name=f"streamix.{name}", daemon=True)
    thread.start()
    return thread


class Supervisor:
    """Every field is owned by the thread of start(), and from run() on by the thread of that.

    For any thread: add(), remove(), stop(), which post an order (add() reserves the name under its
    lock), and child(), names() and last_look, which read one reference.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        intensity: int = 5,
        period: float = 60.0,
        backoff: Callable[[int], float] = lambda attempt: exponential(attempt, 0.05, 30.0),
        give_up: Callable[[str], Exception] = RuntimeError,
        notice: Callable[[object], None] = lambda _fact: None,
        check_every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.overran: list[str] = []
        self._children = {spec.name: _Child(spec) for spec in specs}
        self._naming = threading.Lock()
        self._names = set(self._children)  # also of those that are not made yet; guarded by the lock
        self._intensity, self._period, self._backoff = intensity, period, backoff
        self._give_up = give_up  # makes the error that run() raises when restarting does not help
        self._notice, self._check_every, self._clock = notice, check_every, clock
        self._orders: Mailbox[_Order] = Mailbox()
        self._failures: deque[tuple[float, str]] = deque()
        self._looked = float("-inf")  # never yet: the first look judges nobody
        self._ending = False

    def start(self) -> None:
        try:
            for child in self._by_stage():
                self._start(child)
        except BaseException:  # Ctrl-C as well: those that run would keep the process alive
            self._end()
            raise

    def run(self) -> None:
        try:
            while self._look():
                pass
        finally:
            self._end()

    def stop(self) -> None:
        self._orders.put(_Stop())

    def add(self, spec: ChildSpec) -> None:
        """One more child, soon; ignored once it ends. Raises `ValueError` if the name is taken."""
        with self._naming:
            if spec.name in self._names:
                raise ValueError(f"there is a child {spec.name!r} already")
            self._names.add(spec.name)
        self._orders.put(_Add(spec))

    def remove(self, name: str) -> None:
        """The child is asked to end, soon, and is not started again."""
        self._orders.put(_Remove(name))

    def child(self, name: str) -> Actor | None:
        """The actor that runs under ``name``, if one does."""
        child = self._children.get(name)
        return child.actor if child is not None else None

    def names(self) -> list[str]:
        return list(self._children)

    @property
    def last_look(self) -> float:
        """By its clock, when it last saw to its children; -inf before the first time."""
        return self._looked

    def _start(self, child: _Child) -> None:
        self._spawn(child)
        self._notice(ChildStarted(child.spec.name))

    def _spawn(self, child: _Child) -> None:
        actor = child.spec.build()
        child.thread = _launch(child.spec.name, actor, self._orders)
        child.actor, child.beat, child.seen = actor, actor.last_progress, self._clock()

    def _look(self) -> bool:
        """Act on every order, death, stall and due restart; False once asked to stop."""
        children, now = self._children.values(), self._clock()
        dues = [child.due - now for child in children if child.restart is not None]
        for order in self._orders.get_many(1, max(0.0, min([self._check_every, *dues]))):
            if isinstance(order, _Stop):
                return False
            self._obey(order)
        now = self._clock()
        gap, self._looked = now - self._looked, now
        for child in list(children):
            if gap > 3 * self._check_every:
                child.seen = now  # we did not run (SIGSTOP, a held GIL), so nor did it: no verdict
            if child.gone_by is not None:
                self._see_off(child, now)
            elif child.actor is not None:
                self._judge(child, child.actor, now)
            elif child.restart is not None and child.due <= now:
                self._rebuild(child, child.restart)
        return True

    def _obey(self, order: _Order) -> None:
        if isinstance(order, _Exit):
            self._on_exit(order)
        elif isinstance(order, _Add):
            # A new dict: others may be going through the one before.
            child = _Child(order.spec)
            self._children = {**self._children, order.spec.name: child}
            try:
                self._start(child)
            except Exception as error:  # noqa: BLE001 - build() failed, or no thread could be had
                self._notice(_crash_of(order.spec.name, error))
                self._failed(child, error)
        elif isinstance(order, _Remove) and order.name in self._children:
            child = self._children[order.name]
            child.restart, child.gone_by = None, self._clock() + child.spec.shutdown
            if child.actor is not None:
                self._ask(child, child.actor.stop)

    def _see_off(self, child: _Child, now: float) -> None:
        """Of one that is to end for good: forget it when it has, or when its time is over."""
        late = child.gone_by is not None and now >= child.gone_by
        if child.actor is not None and not late:
            return
        if child.actor is not None:
            self._overran(child, child.actor)
        self._children = {name: each for name, each in self._children.items() if each is not child}
        with self._naming:
            self._names.discard(child.spec.name)

    def _overran(self, child: _Child, actor: Actor) -> None:
        actor.stopping.set()  # also when it drains: end at the next chance
        self.overran.append(child.spec.name)
        self._notice(ChildOverran(child.spec.name, child.spec.shutdown))

    def _judge(self, child: _Child, actor: Actor, now: float) -> None:
        deadline = actor.progress_deadline
        if deadline is None or child.beat != actor.last_progress:
            child.seen, child.beat = now, actor.last_progress
        idle = now - child.seen
        if deadline is not None and idle > deadline and child.thread.is_alive():
            child.actor = None  # so its late Exit is nobody's
            self._notice(ChildStalled(child.spec.name, idle))
            self._ask(child, actor.replace)
            self._failed(child, TimeoutError(f"no progress for {idle:.1f} s"))

    def _rebuild(self, child: _Child, restart: ChildRestarted) -> None:
        child.restart = None
        try:
            self._spawn(child)
        except Exception as error:  # noqa: BLE001 - build() failed, or no thread could be had
            self._notice(_crash_of(child.spec.name, error))
            self._failed(child, error)
        else:
            self._notice(restart)

    def _on_exit(self, exit_: _Exit) -> None:
        child, crash = self._children.get(exit_.name), exit_.crash
        if child is None or child.actor is not exit_.actor:
            return  # replaced before, or removed
        child.actor = None
        if crash is None and not (self._ending or exit_.actor.stopping.is_set() or child.gone_by):
            crash = ChildCrashed(exit_.name, RuntimeError("ended though nobody asked it to"), "")
        if crash is not None:
            self._notice(crash)
            if child.gone_by is None:
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
            raise self._give_up(f"{name}: {count}, {self._intensity} allowed") from error
        attempt = sum(failed == name for _, failed in failures)
        child.restart = ChildRestarted(name, attempt, self._backoff(attempt))
        child.due = now + child.restart.after

    def _ask(self, child: _Child, order: Callable[[], None]) -> None:
        try:
            order()
        except Exception as error:  # noqa: BLE001 - one failing wake() must not save the others
            self._notice(_crash_of(child.spec.name, error))

    def _by_stage(self) -> list[_Child]:
        return sorted(self._children.values(), key=lambda child: child.spec.stage)

    def _end(self) -> None:
        """Stop in reverse order: a stage together, under one deadline."""
        self._ending = True
        for _, stage in groupby(reversed(self._by_stage()), lambda child: child.spec.stage):
            living = [(child, child.actor) for child in stage if child.actor is not None]
            # join() takes real time, whatever clock we were given.
            deadline = time.monotonic() + max((c.spec.shutdown for c, _ in living), default=0.0)
            for child, actor in living:
                self._ask(child, actor.stop)
            for child, actor in living:
                child.thread.join(max(0.0, deadline - time.monotonic()))
                if child.thread.is_alive():
                    self._overran(child, actor)
        while orders := self._orders.get_many(64, 0.0):  # exits among them: no crash goes untold
            for order in orders:
                if isinstance(order, _Exit):
                    self._on_exit(order)
