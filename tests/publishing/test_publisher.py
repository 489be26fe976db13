"""The publisher in a forked child: nothing that its parent holds may stop it, or reach it."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from streamix_queue import Publisher
from streamix_queue.publishing import joint_writes, publisher
from tests.support.servers import Server

SOON_S = 20.0


class Broker:
    """Has an id for everything."""

    def check(self, key: bytes) -> None:
        pass

    def add(self, key: bytes, fields: Sequence[bytes]) -> bytes:
        return b"1-0"


class Locks:
    """Stands in for ``threading.Lock``; the second that is made takes until `go_on` is set."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.second_is_made, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> Any:
        lock = threading.Lock()
        self.made.append(lock)
        if len(self.made) == 2:
            self.second_is_made.set()
            assert self.go_on.wait(SOON_S)
        return lock


def test_no_thread_of_a_child_waits_for_a_lock_that_the_parent_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a child notes whose the state is before it has renewed all of it.

    One thread of the child has begun to renew it, and is interrupted; another comes by.
    """
    monkeypatch.setattr(publisher, "redis_publisher_broker", lambda *_: Broker())
    locks = Locks()
    monkeypatch.setattr(joint_writes, "threading", SimpleNamespace(Lock=locks))
    shared = Publisher("redis://nowhere", "stream")
    locks.made[0].acquire()  # by a thread that the child does not have
    monkeypatch.setattr("os.getpid", lambda: -1)

    first, second = (threading.Thread(target=shared.publish, args=("e", {}), daemon=True) for _ in range(2))
    first.start()
    assert locks.second_is_made.wait(SOON_S)
    second.start()
    second.join(5)

    assert not second.is_alive(), "it waits for a thread of the parent"
    locks.go_on.set()
    first.join(SOON_S)
    assert not first.is_alive()


def test_children_forked_while_many_threads_publish_publish_as_well(any_server: Server, stream: str) -> None:
    """Fails when a child waits for what a thread of its parent held at the fork, or shares its sockets."""
    children, threads_each, events_each = 20, 4, 5
    with Publisher(any_server.url, stream) as shared:
        over = threading.Event()
        published = [0] * 6

        def keep_publishing(number: int) -> None:
            while not over.is_set():
                shared.publish("parent", {})
                published[number] += 1

        threads = [threading.Thread(target=keep_publishing, args=(n,)) for n in range(len(published))]
        for thread in threads:
            thread.start()
        try:
            pids = [_fork(shared, threads_each, events_each) for _ in range(children)]
            endings = [_ending(pid) for pid in pids]
        finally:
            over.set()
            for thread in threads:
                thread.join(SOON_S)

    assert endings == [0] * children
    with any_server.client() as client:
        assert client.xlen(stream) == sum(published) + children * threads_each * events_each


def _fork(shared: Publisher, threads: int, events: int) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads, from 3.12 on
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        done: list[int] = []

        def publish() -> None:
            for n in range(events):
                shared.publish("child", {"n": n})
                done.append(n)

        ours = [threading.Thread(target=publish, daemon=True) for _ in range(threads)]
        for thread in ours:
            thread.start()
        for thread in ours:
            thread.join(SOON_S)
        code = 0 if len(done) == threads * events else 2
    finally:
        os._exit(code)


def _ending(pid: int) -> int:
    """The exit code of a child, or -9 if it had to be killed."""
    deadline = time.monotonic() + 3 * SOON_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
