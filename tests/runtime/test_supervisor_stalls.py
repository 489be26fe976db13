"""What no progress does, and what is not held against a child."""

import threading
import time

from streamix_queue.runtime import (
    Actor,
    ChildCrashed,
    ChildRestarted,
    ChildSpec,
    ChildStalled,
)
from tests.runtime.troupe import NEVER, SOON, Clock, GivenUp, Idle, Running, Stubborn, spec, supervised


def test_a_stalled_child_is_replaced_and_rebuilt_and_its_late_end_ignored() -> None:
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
        assert built[0].replaced
        assert built[0].stopping.is_set()
        assert running.supervisor.child("a") is built[1]

        release.set()
        for thread in threading.enumerate():
            if thread.name == "streamix.a" and thread.is_alive():
                thread.join(0.2)
        assert running.supervisor.child("a") is built[1]

    assert len(built) == 2
    assert not built[1].replaced
    assert running.facts.of(ChildCrashed) == []
    assert running.supervisor.overran == []


def test_stalls_use_the_budget() -> None:
    release = threading.Event()

    def build() -> Actor:
        actor = Stubborn("a", release)
        actor.progress_deadline = 0.02
        return actor

    with supervised(ChildSpec("a", build), check_every=0.01, intensity=2, give_up=GivenUp) as running:
        running.join()
        release.set()

    assert isinstance(running.error, GivenUp)
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
