"""What a crash does: restarts, backoff, and the budget."""

import threading

import pytest

from streamix_queue.runtime import (
    Actor,
    ChildCrashed,
    ChildRestarted,
    ChildSpec,
    ChildStarted,
    Mailbox,
)
from tests.runtime.troupe import NEVER, SOON, Clock, Doing, GivenUp, Idle, crash, each_time, spec, supervised


def test_a_crashed_child_is_rebuilt_and_the_letters_in_its_mailbox_survive() -> None:
    mailbox: Mailbox[str] = Mailbox()
    handled: Mailbox[str] = Mailbox()

    class Worker(Actor):
        def step(self) -> None:
            letter = mailbox.get_many(1)[0]
            if letter == "poison":
                raise ValueError(letter)
            handled.put(str(letter))

        def wake(self) -> None:
            mailbox.close()

    mailbox.put_many(["a", "poison", "b", "c"])
    with supervised(ChildSpec("worker", lambda: Worker("worker"))) as running:
        assert [handled.get_many(1, SOON)[0] for _ in range(3)] == ["a", "b", "c"]

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
        closed.get_many(1)

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
        actor, thread = running.supervisor.child("a"), threads.get_many(1, SOON)[0]
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
    with supervised(
        other, spec("a", each_time(*map(crash, errors))), intensity=2, period=7.0, give_up=GivenUp
    ) as running:
        running.join()

    assert isinstance(running.error, GivenUp)
    assert running.error.__cause__ is errors[2]
    for word in ("a:", "3 failures", "7 s"):
        assert word in str(running.error)
    assert len(running.facts.of(ChildCrashed)) == 3
    assert len(running.facts.of(ChildRestarted)) == 2
    assert running.supervisor.child("other") is None
    assert running.supervisor.overran == []


def test_crashes_of_all_children_share_one_budget() -> None:
    with supervised(
        spec("a", each_time(crash(ValueError()))),
        spec("b", each_time(crash(ValueError()))),
        intensity=1,
        give_up=GivenUp,
    ) as running:
        running.join()

    assert isinstance(running.error, GivenUp)


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
