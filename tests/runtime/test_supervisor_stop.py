"""The end: in reverse, stage by stage, whatever happens on the way."""

import threading
import time

import pytest

from streamix_queue.runtime import (
    Actor,
    ChildCrashed,
    ChildOverran,
    ChildRestarted,
    ChildSpec,
    ChildStarted,
    Mailbox,
    Supervisor,
)
from tests.runtime.troupe import NEVER, SOON, Doing, Idle, Stubborn, crash, spec, supervised


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
    assert len(running.supervisor.overran) == 11


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

        assert running.supervisor.overran == ["b"]
        assert running.facts.of(ChildOverran) == [ChildOverran("b", 0.05)]
        assert running.supervisor.child("a") is running.supervisor.child("c") is None
        assert built[0].stopping.is_set()  # no more draining: it ends when it can
        assert not built[0].replaced
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
            drained.append(mailbox.get_many(1)[0] or 0)

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
    assert running.supervisor.overran == []


def test_a_failing_wake_is_told_and_does_not_save_the_others() -> None:
    class Unwakeable(Idle):
        def wake(self) -> None:
            raise ConnectionError("cannot unblock")

    with supervised(spec("a"), ChildSpec("b", lambda: Unwakeable("b")), spec("c")) as running:
        running.stop()

    assert running.error is None
    assert [fact.name for fact in running.facts.of(ChildCrashed)] == ["b"]
    assert running.supervisor.overran == []


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
