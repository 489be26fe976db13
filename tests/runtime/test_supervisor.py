import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from streamix_queue.runtime import (
    Actor,
    ChildCrashed,
    ChildRestarted,
    ChildSpec,
    ChildStalled,
    ChildStarted,
    ChildStuck,
    Mailbox,
    RestartsExceeded,
    Supervisor,
)

SOON = 10.0  # a deadline for what should happen at once, on a loaded machine
NEVER = 3600.0
F = TypeVar("F")


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


def test_a_crashed_child_is_rebuilt_and_the_letters_in_its_mailbox_survive() -> None:
    mailbox: Mailbox[str] = Mailbox()
    handled: Mailbox[str] = Mailbox()

    class Worker(Actor):
        def step(self) -> None:
            letter = mailbox.get()
            if letter == "poison":
                raise ValueError(letter)
            handled.put(str(letter))

        def wake(self) -> None:
            mailbox.close()

    mailbox.put_many(["a", "poison", "b", "c"])
    with supervised(ChildSpec("worker", lambda: Worker("worker"))) as running:
        assert [handled.get(SOON) for _ in range(3)] == ["a", "b", "c"]

    crashed = running.facts.of(ChildCrashed)
    assert [(fact.name, repr(fact.error)) for fact in crashed] == [("worker", "ValueError('poison')")]
    assert "raise ValueError(letter)" in crashed[0].traceback
    assert running.error is None


def test_a_death_is_noticed_at_once_without_polling() -> None:
    with supervised(spec("a", each_time(crash(ValueError()))), check_every=NEVER) as running:
        assert running.facts.await_(ChildRestarted) == ChildRestarted("a", 1, 0.0)


def test_a_supervisor_sleeps_after_a_restart() -> None:
    """A restart that stayed due would have it spin."""
    clock, calm = Clock(), threading.Event()
    with supervised(spec("a", each_time(crash(ValueError()))), check_every=NEVER, clock=clock) as running:
        running.facts.await_(ChildRestarted)

        calm.wait(0.1)  # a time in which nothing may happen: no event tells of that

    assert clock.reads < 20


def test_children_start_in_order_and_the_living_actor_can_be_asked_for() -> None:
    with supervised(spec("a"), spec("b"), spec("c")) as running:
        assert running.facts.all == [ChildStarted("a"), ChildStarted("b"), ChildStarted("c")]
        actor = running.supervisor.child("b")
        assert actor is not None
        assert actor.name == "b"

    assert running.supervisor.child("b") is None


def test_only_the_crashed_child_is_rebuilt() -> None:
    crash_now = threading.Event()
    work = each_time(lambda me: crash_now.wait(SOON) and crash(ValueError())(me))
    with supervised(spec("a"), spec("b", work)) as running:
        a, b = running.supervisor.child("a"), running.supervisor.child("b")

        crash_now.set()
        running.facts.await_(ChildRestarted)

        assert running.supervisor.child("a") is a
        assert running.supervisor.child("b") is not b


def test_a_child_that_waits_for_its_restart_does_not_hold_up_the_others() -> None:
    delays = iter([NEVER, 0.0])
    go = threading.Event()
    second = each_time(lambda me: go.wait(SOON) and crash(ValueError())(me))
    with supervised(
        spec("a", crash(ValueError())), spec("b", second), backoff=lambda n: next(delays)
    ) as running:
        running.facts.await_(ChildCrashed)
        assert running.supervisor.child("a") is None

        go.set()

        assert running.facts.await_(ChildRestarted) == ChildRestarted("b", 1, 0.0)


def test_a_restart_waits_for_its_backoff_which_knows_the_attempt() -> None:
    clock = Clock()
    works = each_time(crash(ValueError(1)), crash(ValueError(2)))
    with supervised(spec("a", works), backoff=lambda n: n * 10.0, clock=clock, check_every=0.01) as running:
        running.facts.await_(ChildCrashed)
        clock.move(9.0)
        assert running.facts.of(ChildRestarted) == []
        clock.move(1.5)
        assert running.facts.await_(ChildRestarted) == ChildRestarted("a", 1, 10.0)
        running.facts.await_(ChildCrashed, 2)
        clock.move(20.5)
        assert running.facts.await_(ChildRestarted, 2) == ChildRestarted("a", 2, 20.0)


def test_a_child_whose_loop_ends_unasked_has_crashed() -> None:
    def leave(me: Doing) -> None:
        closed: Mailbox[None] = Mailbox()
        closed.close()
        closed.get()

    with supervised(spec("a", each_time(leave))) as running:
        assert "nobody asked" in str(running.facts.await_(ChildCrashed).error)
        running.facts.await_(ChildRestarted)


def test_a_child_that_somebody_stopped_may_end_and_is_not_rebuilt() -> None:
    threads: Mailbox[threading.Thread] = Mailbox()
    go = threading.Event()
    later = each_time(lambda me: go.wait(SOON) and crash(ValueError())(me))
    with supervised(
        spec("a", lambda me: threads.put(threading.current_thread())), spec("b", later)
    ) as running:
        actor, thread = running.supervisor.child("a"), threads.get(SOON)
        assert actor is not None
        assert thread is not None

        actor.stop()

        thread.join(SOON)
        go.set()  # the supervisor reads of a's end before it reads of b's
        running.facts.await_(ChildRestarted)
        assert running.supervisor.child("a") is None

    assert [fact.name for fact in running.facts.of(ChildRestarted)] == ["b"]
    assert [fact.name for fact in running.facts.of(ChildCrashed)] == ["b"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_no_exception_ends_a_child_silently(kind: type[BaseException]) -> None:
    with supervised(spec("a", each_time(crash(kind("out"))))) as running:
        assert isinstance(running.facts.await_(ChildCrashed).error, kind)
        running.facts.await_(ChildRestarted)


def test_a_build_that_fails_on_restart_is_one_more_crash() -> None:
    builds = iter([crash(ValueError()), None, lambda me: None])

    def build() -> Actor:
        if (work := next(builds)) is None:
            raise OSError("no file")
        return Doing("a", work)

    with supervised(ChildSpec("a", build)) as running:
        assert repr(running.facts.await_(ChildCrashed, 2).error) == "OSError('no file')"
        assert running.facts.await_(ChildRestarted) == ChildRestarted("a", 2, 0.0)


# The budget


def test_more_crashes_than_the_intensity_stop_everything_and_raise_from_the_last() -> None:
    errors = [ValueError(n) for n in range(3)]
    other = spec("other")
    with supervised(other, spec("a", each_time(*map(crash, errors))), intensity=2, period=7.0) as running:
        running.join()

    assert isinstance(running.error, RestartsExceeded)
    assert running.error.__cause__ is errors[2]
    for word in ("a:", "3 failures", "7 s"):
        assert word in str(running.error)
    assert len(running.facts.of(ChildCrashed)) == 3
    assert len(running.facts.of(ChildRestarted)) == 2
    assert running.supervisor.child("other") is None
    assert running.supervisor.stuck == []


def test_crashes_of_all_children_share_one_budget() -> None:
    with supervised(
        spec("a", each_time(crash(ValueError()))),
        spec("b", each_time(crash(ValueError()))),
        intensity=1,
    ) as running:
        running.join()

    assert isinstance(running.error, RestartsExceeded)


def test_crashes_older_than_the_period_are_forgotten() -> None:
    clock, go = Clock(), [threading.Event() for _ in range(3)]
    works = [lambda me, e=e: e.wait(SOON) and crash(ValueError())(me) for e in go]
    with supervised(
        spec("a", each_time(*works)), intensity=1, period=60.0, clock=clock, check_every=0.01
    ) as running:
        for n, event in enumerate(go, 1):
            event.set()
            assert running.facts.await_(ChildRestarted, n).attempt == 1
            clock.move(61.0)

    assert running.error is None


def test_transient_errors_never_use_the_budget() -> None:
    survived = threading.Event()

    class Connected(Idle):
        transient = (ConnectionError,)
        losses = 50

        def step(self) -> None:
            if self.losses:
                self.losses -= 1
                raise ConnectionError
            survived.set()
            super().step()

        def on_transient(self, error: BaseException, attempt: int) -> float:
            return 0.0

    with supervised(ChildSpec("a", lambda: Connected("a")), intensity=0) as running:
        assert survived.wait(SOON)

    assert running.error is None
    assert running.facts.all == [ChildStarted("a")]


# Stalls


def test_a_stalled_child_is_abandoned_and_rebuilt_and_its_late_end_ignored() -> None:
    release, built = threading.Event(), list[Actor]()

    def build() -> Actor:
        built.append(Stubborn("a", release) if not built else Idle("a"))
        built[0].progress_deadline = 0.05
        return built[-1]

    with supervised(ChildSpec("a", build), check_every=0.01) as running:
        stalled = running.facts.await_(ChildStalled)
        running.facts.await_(ChildRestarted)

        assert stalled.name == "a"
        assert stalled.seconds > 0.05
        assert built[0].abandoned
        assert built[0].stopping.is_set()
        assert running.supervisor.child("a") is built[1]

        release.set()
        for thread in threading.enumerate():
            if thread.name == "streamix.a" and thread.is_alive():
                thread.join(0.2)
        assert running.supervisor.child("a") is built[1]

    assert len(built) == 2
    assert not built[1].abandoned
    assert running.facts.of(ChildCrashed) == []
    assert running.supervisor.stuck == []


def test_stalls_use_the_budget() -> None:
    release = threading.Event()

    def build() -> Actor:
        actor = Stubborn("a", release)
        actor.progress_deadline = 0.02
        return actor

    with supervised(ChildSpec("a", build), check_every=0.01, intensity=2) as running:
        running.join()
        release.set()

    assert isinstance(running.error, RestartsExceeded)
    assert isinstance(running.error.__cause__, TimeoutError)
    assert len(running.facts.of(ChildStalled)) == 3


def test_a_child_that_makes_progress_or_is_not_watched_never_stalls() -> None:
    clock = Clock()

    class Busy(Actor):
        progress_deadline = 0.1

        def step(self) -> None:
            self.stopping.wait(0.001)

    with supervised(
        ChildSpec("busy", lambda: Busy("busy")), spec("unwatched"), clock=clock, check_every=0.005
    ) as running:
        busy = running.supervisor.child("busy")
        assert busy is not None
        for _ in range(30):  # three times its deadline, in steps too small to be a gap
            before, deadline = busy.last_progress, time.monotonic() + SOON
            while busy.last_progress == before and time.monotonic() < deadline:
                busy.stopping.wait(0.0005)
            clock.move(0.01)

    assert running.facts.of(ChildStalled) == []


def test_time_spent_unwatched_is_not_held_against_a_child_that_is_watched_again() -> None:
    """A worker is not watched while a handler runs, however long that takes."""
    clock = Clock()
    with supervised(spec("a"), clock=clock, check_every=0.01) as running:
        actor = running.supervisor.child("a")
        assert actor is not None
        for _ in range(15):
            clock.move(0.02)

        actor.progress_deadline = 0.2
        clock.move(0.02)

    assert running.facts.of(ChildStalled) == []


def test_a_supervisor_that_did_not_run_itself_grants_a_fresh_deadline_and_judges_by_it() -> None:
    """After SIGSTOP or a held GIL nobody made progress: not the children's fault."""
    clock = Clock()

    def build() -> Actor:
        actor = Idle("a")
        actor.progress_deadline = 0.2
        return actor

    check_every = 0.01
    with supervised(ChildSpec("a", build), clock=clock, check_every=check_every) as running:
        clock.move(0.0)

        clock.move(NEVER)  # a gap: far beyond the deadline, but no verdict
        assert running.facts.of(ChildStalled) == []

        for _ in range(9):  # nine tenths of the fresh deadline pass under its eyes
            clock.move(2 * check_every)
        assert running.facts.of(ChildStalled) == []

        for _ in range(3):
            clock.move(2 * check_every)
        assert running.facts.await_(ChildStalled).seconds < 1.0


def test_time_between_start_and_run_is_not_held_against_a_child() -> None:
    clock = Clock()
    running = Running([ChildSpec("a", lambda: Idle("a"))], clock=clock, check_every=0.01)
    running.supervisor.start()
    actor = running.supervisor.child("a")
    assert actor is not None
    actor.progress_deadline = 1.0

    clock.now += NEVER
    running.thread.start()
    clock.move(0.0)
    running.stop()

    assert running.facts.of(ChildStalled) == []


# Stopping


def test_children_stop_in_reverse_order_stage_by_stage_and_a_stage_together() -> None:
    diary: list[str] = []
    together = threading.Barrier(2)

    class Child(Idle):
        def stop(self) -> None:
            diary.append(f"stop {self.name}")
            super().stop()

        def teardown(self) -> None:
            if self.name.startswith("worker"):
                together.wait(SOON)  # neither ends unless both were asked
            diary.append(f"end {self.name.rstrip('12')}")

    def child(name: str, stage: int) -> ChildSpec:
        return ChildSpec(name, lambda: Child(name), stage=stage)

    with supervised(
        child("settler", 0), child("worker1", 1), child("worker2", 1), child("fetcher", 2)
    ) as running:
        running.stop()

    assert running.error is None
    assert diary == [
        "stop fetcher",
        "end fetcher",
        "stop worker2",
        "stop worker1",
        "end worker",
        "end worker",
        "stop settler",
        "end settler",
    ]
    assert running.facts.of(ChildCrashed) == []


def test_a_stage_shares_one_deadline_the_largest_of_its_children() -> None:
    release = threading.Event()

    def stubborn(name: str, shutdown: float) -> ChildSpec:
        return ChildSpec(name, lambda: Stubborn(name, release), shutdown=shutdown)

    specs = [stubborn("last", 0.5), *(stubborn(f"a{n}", 0.4) for n in range(10))]
    with supervised(*specs) as running:
        began = time.monotonic()
        running.stop()
        took = time.monotonic() - began
        release.set()

    assert 0.5 <= took < 3.0  # one by one it would be 4.5
    assert len(running.supervisor.stuck) == 11


def test_a_stuck_child_is_reported_and_the_others_are_stopped_all_the_same() -> None:
    release, built = threading.Event(), list[Actor]()

    class Drainer(Stubborn):
        def stop(self) -> None:
            """Would drain for ever."""

    def build() -> Actor:
        built.append(Drainer("b", release))
        return built[0]

    with supervised(
        spec("a", stage=0), ChildSpec("b", build, shutdown=0.05, stage=1), spec("c", stage=2)
    ) as running:
        running.stop()

        assert running.supervisor.stuck == ["b"]
        assert running.facts.of(ChildStuck) == [ChildStuck("b")]
        assert running.supervisor.child("a") is running.supervisor.child("c") is None
        assert built[0].stopping.is_set()  # no more draining: it ends when it can
        assert not built[0].abandoned
        release.set()


def test_there_are_no_restarts_once_stopping_but_last_words_are_heard() -> None:
    def die_when_stopped(me: Doing) -> None:
        me.stopping.wait()
        raise ValueError("while stopping")

    with supervised(spec("a", die_when_stopped), intensity=0) as running:
        running.stop()

    assert running.error is None
    assert [str(fact.error) for fact in running.facts.of(ChildCrashed)] == ["while stopping"]
    assert running.facts.of(ChildRestarted) == []


def test_a_child_that_drains_ends_without_a_crash() -> None:
    mailbox: Mailbox[int] = Mailbox()
    drained: list[int] = []

    class Drainer(Actor):
        def step(self) -> None:
            drained.append(mailbox.get() or 0)

        def stop(self) -> None:
            mailbox.put_many([1, 2, 3])
            mailbox.close()

    with supervised(ChildSpec("a", lambda: Drainer("a"))) as running:
        running.stop()

    assert running.error is None
    assert drained == [1, 2, 3]
    assert running.facts.all == [ChildStarted("a")]


def test_stop_may_come_before_run_and_more_than_once() -> None:
    supervisor = Supervisor([spec("a")])
    supervisor.start()

    for _ in range(3):
        supervisor.stop()
    supervisor.run()

    assert supervisor.child("a") is None


def test_a_child_that_waits_for_its_restart_needs_no_stopping() -> None:
    with supervised(spec("a", crash(ValueError())), backoff=lambda n: NEVER) as running:
        running.facts.await_(ChildCrashed)
        running.stop()

    assert running.error is None
    assert running.supervisor.stuck == []


def test_a_failing_wake_is_told_and_does_not_save_the_others() -> None:
    class Unwakeable(Idle):
        def wake(self) -> None:
            raise ConnectionError("cannot unblock")

    with supervised(spec("a"), ChildSpec("b", lambda: Unwakeable("b")), spec("c")) as running:
        running.stop()

    assert running.error is None
    assert [fact.name for fact in running.facts.of(ChildCrashed)] == ["b"]
    assert running.supervisor.stuck == []


def test_children_are_stopped_however_run_ends() -> None:
    """A KeyboardInterrupt in the main thread, or our own bug."""

    def interrupt(fact: object) -> None:
        if isinstance(fact, ChildCrashed):
            raise KeyboardInterrupt

    supervisor = Supervisor([spec("a"), spec("b", crash(ValueError()))], notice=interrupt)
    supervisor.start()

    with pytest.raises(KeyboardInterrupt):
        supervisor.run()

    assert supervisor.child("a") is None


# Threads


def test_a_thread_that_cannot_start_stops_what_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    start = threading.Thread.start

    class Child(Idle):
        def teardown(self) -> None:
            ended.append(self.name)

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "streamix.c":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    facts = Facts()
    supervisor = Supervisor(
        [ChildSpec(n, lambda n=n: Child(n), stage=ord(n)) for n in "abcd"],  # type: ignore[misc]
        notice=facts,
    )

    with pytest.raises(RuntimeError, match="can't start new thread"):
        supervisor.start()

    assert ended == ["b", "a"]
    assert facts.all == [ChildStarted("a"), ChildStarted("b")]


def test_a_thread_that_cannot_start_again_is_one_more_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = iter([False, True])
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "streamix.a" and next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with supervised(spec("a", each_time(crash(ValueError())))) as running:
        assert running.facts.await_(ChildRestarted).attempt == 2

    assert [type(fact.error) for fact in running.facts.of(ChildCrashed)] == [
        ValueError,
        RuntimeError,
    ]


def test_a_childs_thread_is_named_for_it_and_does_not_hold_up_the_exit() -> None:
    threads: Mailbox[threading.Thread] = Mailbox()
    with supervised(spec("order.paid.2", lambda me: threads.put(threading.current_thread()))):
        thread = threads.get(SOON)

    assert thread is not None
    assert thread.name == "streamix.order.paid.2"
    assert thread.daemon


def test_no_context_leaks_into_a_child_or_from_one_life_to_the_next() -> None:
    """Else a child would live in the span of whoever started it, for ever."""
    span = contextvars.ContextVar("span", default="none")
    seen: Mailbox[str] = Mailbox()

    def look(me: Doing) -> None:
        seen.put(span.get())
        span.set("of the child")
        raise ValueError

    def caller() -> None:
        span.set("of the caller")
        with supervised(spec("a", each_time(look, look))):
            assert [seen.get(SOON), seen.get(SOON)] == ["none", "none"]
        assert span.get() == "of the caller"

    contextvars.Context().run(caller)


# Crashes as facts


def test_a_crash_pins_no_frame_and_so_no_payload() -> None:
    class Payload:
        pass

    payloads: list[weakref.ref[Payload]] = []

    def inner() -> None:
        payload = Payload()
        payloads.append(weakref.ref(payload))
        raise KeyError("inner")

    def work(me: Doing) -> None:
        payload = Payload()
        payloads.append(weakref.ref(payload))
        try:
            inner()
        except KeyError as error:
            raise ValueError("outer") from error

    with supervised(spec("a", each_time(work, work))) as running:
        running.facts.await_(ChildRestarted, 2)
        facts = running.facts.of(ChildCrashed)
        gc.collect()

        assert len(payloads) == 4
        assert [payload() for payload in payloads] == [None] * 4
        for fact in facts:
            assert fact.error.__traceback__ is None
            for words in ("in inner", "KeyError: 'inner'", "direct cause", "ValueError: outer"):
                assert words in fact.traceback


def test_a_traceback_is_bounded_and_keeps_its_end() -> None:
    error = ValueError("ü\udc80" * 100_000 + " the end")
    with supervised(spec("a", each_time(crash(error)))) as running:
        text = running.facts.await_(ChildCrashed).traceback

    assert len(text.encode()) <= 8192
    assert text.rstrip().endswith("the end")
