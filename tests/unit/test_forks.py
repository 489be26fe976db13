"""What every process has of its own."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import warnings
import weakref
from collections.abc import Callable

import pytest

from streamix_queue.forks import PerProcess

SOON_S = 10.0


class Thing:
    pass


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Each call makes this process look like a child of itself."""
    pids = itertools.count(-1, -1)

    def pretend() -> None:
        pid = next(pids)
        monkeypatch.setattr("os.getpid", lambda: pid)

    return pretend


def test_a_process_keeps_the_one_it_has_made() -> None:
    own = PerProcess(Thing)

    assert own.get() is own.get()


def test_a_child_has_another_and_lets_go_of_its_parents(fork: Callable[[], None]) -> None:
    own = PerProcess(Thing)
    of_parent = weakref.ref(own.get())

    fork()

    assert own.get() is own.get()
    gc.collect()
    assert of_parent() is None


def test_children_of_children_keep_one_each(fork: Callable[[], None]) -> None:
    """Fails when a value stays behind for every process on the way."""
    own = PerProcess(Thing)
    for _ in range(100):
        fork()
        own.get()

    assert len(own._by_pid) == 1


def test_nothing_outlives_its_owner() -> None:
    """Fails when something of the whole process holds it, as a list of what to reset would."""
    own = PerProcess(Thing)
    value = weakref.ref(own.get())

    del own
    gc.collect()

    assert value() is None


def test_two_threads_of_a_child_that_come_first_share_one(fork: Callable[[], None]) -> None:
    """Fails when one goes on with what it has made, though another was first: two locks lock nothing."""
    both = threading.Barrier(2)
    first = iter([Thing()])

    def make() -> Thing:
        for of_parent in first:
            return of_parent
        both.wait(SOON_S)
        return Thing()

    own = PerProcess(make)
    of_parent = own.get()
    fork()
    got: list[Thing] = []
    threads = [threading.Thread(target=lambda: got.append(own.get())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)

    assert len(got) == 2
    assert got[0] is got[1]
    assert got[0] is not of_parent


def test_a_lock_that_is_held_at_a_fork_is_free_in_the_child() -> None:
    lock = PerProcess(threading.Lock)
    with lock.get(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads, from 3.12 on
        pid = os.fork()
        if pid == 0:
            os._exit(0 if lock.get().acquire(timeout=SOON_S) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
