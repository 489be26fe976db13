"""Children that come and go while the supervisor runs."""

import threading
import time

import pytest

from streamix_queue.runtime import Actor, ChildCrashed, ChildOverran, ChildSpec, ChildStarted
from tests.runtime.troupe import SOON, GivenUp, Idle, Stubborn, crash, each_time, spec, supervised


def until(what: str, is_so: object) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.005)


def test_a_child_that_is_added_runs_and_stops_with_the_others() -> None:
    with supervised(spec("a")) as running:
        running.supervisor.add(spec("b"))
        running.facts.await_(ChildStarted, 2)
        added = running.supervisor.child("b")
        assert added is not None
        running.stop()

    assert running.supervisor.names() == ["a", "b"]
    assert added.stopping.is_set()
    assert running.supervisor.overran == []


def test_an_added_child_that_crashes_is_started_anew_like_any_other() -> None:
    with supervised(spec("a")) as running:
        running.supervisor.add(spec("b", each_time(crash(ValueError("boom")))))
        running.facts.await_(ChildCrashed)
        until("it runs again", lambda: running.supervisor.child("b") is not None)
        running.stop()

    assert running.error is None


def test_a_child_that_cannot_be_built_counts_as_a_crash() -> None:
    def build() -> Actor:
        raise OSError("no thread")

    with supervised(spec("a"), intensity=1, give_up=GivenUp) as running:
        running.supervisor.add(ChildSpec("b", build))
        running.join()

    assert isinstance(running.error, GivenUp)
    assert len(running.facts.of(ChildCrashed)) == 2


def test_a_removed_child_ends_and_is_not_started_again() -> None:
    with supervised(spec("a"), spec("b")) as running:
        gone = running.supervisor.child("b")
        assert gone is not None

        running.supervisor.remove("b")
        until("it is forgotten", lambda: running.supervisor.names() == ["a"])

        assert gone.stopping.is_set()
        assert running.facts.of(ChildCrashed) == []
        assert running.supervisor.child("b") is None
        assert running.supervisor.child("a") is not None
        running.stop()


def test_a_removed_child_that_does_not_end_in_its_time_is_told_and_forgotten() -> None:
    release = threading.Event()
    stubborn = ChildSpec("b", lambda: Stubborn("b", release), shutdown=0.05)
    with supervised(spec("a"), stubborn, check_every=0.01) as running:
        running.supervisor.remove("b")
        assert running.facts.await_(ChildOverran) == ChildOverran("b", 0.05)
        until("it is forgotten", lambda: running.supervisor.names() == ["a"])
        release.set()
        running.stop()


def test_its_name_is_free_again_for_another() -> None:
    with supervised(spec("a")) as running:
        first = running.supervisor.child("a")
        running.supervisor.remove("a")
        until("it is forgotten", lambda: running.supervisor.names() == [])
        running.supervisor.add(spec("a"))
        until("the next one runs", lambda: running.supervisor.child("a") is not None)
        assert running.supervisor.child("a") is not first
        running.stop()


def test_children_stop_by_their_stage_whenever_they_came() -> None:
    order: list[str] = []

    class Tells(Idle):
        def teardown(self) -> None:
            order.append(self.name)

    def told(name: str, stage: int) -> ChildSpec:
        return ChildSpec(name, lambda: Tells(name), stage=stage)

    with supervised(told("last", 0), told("first", 2)) as running:
        running.supervisor.add(told("second", 1))
        running.facts.await_(ChildStarted, 3)
        running.stop()

    assert order == ["first", "second", "last"]


def test_removing_what_is_not_there_changes_nothing() -> None:
    with supervised(spec("a")) as running:
        running.supervisor.remove("nobody")
        running.supervisor.add(spec("b"))
        running.facts.await_(ChildStarted, 2)
        running.stop()

    assert running.error is None


def test_a_name_that_is_taken_is_refused_where_it_is_given() -> None:
    with supervised(spec("a")) as running:
        with pytest.raises(ValueError, match="'a'"):
            running.supervisor.add(spec("a"))
        running.stop()

    assert running.error is None


def test_a_name_is_reserved_from_the_call_on() -> None:
    """Fails when two of one name are both taken before the first was made, and one is never stopped."""
    with supervised(spec("a")) as running:
        running.supervisor.add(spec("b"))
        with pytest.raises(ValueError, match="'b'"):
            running.supervisor.add(spec("b"))
        running.facts.await_(ChildStarted, 2)
        running.stop()

    assert running.supervisor.names() == ["a", "b"]


def test_children_start_by_their_stage_whatever_the_order_in_which_they_are_given() -> None:
    """Fails when those that take begin before those that work, and what is taken waits for nobody."""
    with supervised(spec("takes", stage=3), spec("leases", stage=0), spec("works", stage=2)) as running:
        running.stop()

    assert [fact.name for fact in running.facts.of(ChildStarted)] == ["leases", "works", "takes"]
