"""Writes of several threads that go to Redis together: each has its own answer, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from streamix_queue.core.errors import BrokerUnavailable, OutOfMemory
from streamix_queue.core.wire import Fields
from streamix_queue.publishing import joint_writes
from streamix_queue.publishing.joint_writes import JointWrites

SOON_S = 20.0
MOST = joint_writes._MOST_UNDER_WAY


class Redis:
    """Answers a round trip when it is told to; `rounds` has what came together."""

    def __init__(self) -> None:
        self.rounds: list[list[bytes]] = []
        self.answer: Callable[[bytes], bytes | Exception] = lambda text: b"ok " + text
        self._came = threading.Condition()
        self._may_go = threading.Semaphore(0)

    def send(self, entries: Sequence[Fields]) -> list[bytes | Exception]:
        texts = [fields[0] for fields in entries]
        with self._came:
            self.rounds.append(texts)
            self._came.notify_all()
        assert self._may_go.acquire(timeout=SOON_S)
        return [self.answer(text) for text in texts]

    def let(self, rounds: int) -> None:
        """Answer so many round trips."""
        self._may_go.release(rounds)

    def wait_for(self, rounds: int) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self.rounds) >= rounds, SOON_S), self.rounds


class Writers:
    """Threads that write; a context manager that ends them."""

    def __init__(self, send: Callable[[Sequence[Fields]], list[bytes | Exception]]) -> None:
        self.joint = JointWrites(send, patience_s=SOON_S)
        self._pool = ThreadPoolExecutor(40)

    def write(self, *texts: str) -> list[Future[bytes]]:
        return [self._pool.submit(self.joint.write, [text.encode()]) for text in texts]

    def wait_until_waiting(self, count: int) -> None:
        deadline = threading.Event()
        for _ in range(2000):
            if len(self.joint._waiting) == count:
                return
            deadline.wait(0.005)
        raise AssertionError(f"{len(self.joint._waiting)} wait")

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()


def busy(writers: Writers, server: Redis) -> list[Future[bytes]]:
    """As many round trips under way as there may be, and two that wait."""
    first = writers.write(*(f"first {n}" for n in range(MOST)))
    server.wait_for(MOST)
    later = writers.write("a", "b")
    writers.wait_until_waiting(2)
    return [*first, *later]


def test_a_thread_alone_sends_at_once() -> None:
    server = Redis()
    server.let(1)

    assert JointWrites(server.send, SOON_S).write([b"it"]) == b"ok it"
    assert server.rounds == [[b"it"]]


def test_those_that_come_while_others_are_under_way_go_together() -> None:
    server = Redis()
    with Writers(server.send) as writers:
        all_of_them = busy(writers, server)

        server.let(1)
        server.wait_for(MOST + 1)
        server.let(MOST)
        answers = {future.result(SOON_S) for future in all_of_them}

    assert sorted(server.rounds[-1]) == [b"a", b"b"]
    assert answers == {*(b"ok first %d" % n for n in range(MOST)), b"ok a", b"ok b"}
    assert writers.joint._under_way == 0


def test_a_refusal_is_told_to_the_one_it_is_for() -> None:
    server = Redis()
    server.answer = lambda text: OutOfMemory("full") if text == b"a" else b"ok"
    with Writers(server.send) as writers:
        *_, refused, accepted = busy(writers, server)
        server.let(MOST + 1)

        assert isinstance(refused.exception(SOON_S), OutOfMemory)
        assert accepted.result(SOON_S) == b"ok"


@pytest.mark.parametrize("nothing_done", [True, False])
def test_of_a_round_trip_that_breaks_each_has_an_error_of_its_own(nothing_done: bool) -> None:
    server = Redis()

    def send(entries: Sequence[Fields]) -> list[bytes | Exception]:
        answers = server.send(entries)
        if len(entries) == 1:
            return answers
        error = BrokerUnavailable("gone")
        error.nothing_done = nothing_done
        raise error

    with Writers(send) as writers:
        *_, one, other = busy(writers, server)
        server.let(MOST + 2)
        errors = [one.exception(SOON_S), other.exception(SOON_S)]
        assert writers.write("next")[0].result(SOON_S) == b"ok next"

    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, BrokerUnavailable)
        assert error.nothing_done is nothing_done


def test_when_a_sender_is_interrupted_the_others_learn_that_theirs_may_be_in_or_out() -> None:
    server = Redis()

    def send(entries: Sequence[Fields]) -> list[bytes | Exception]:
        answers = server.send(entries)
        if len(entries) == 2:
            raise KeyboardInterrupt
        return answers

    with Writers(send) as writers:
        *_, one, other = busy(writers, server)
        server.let(MOST + 1)
        errors: list[Any] = [one.exception(SOON_S), other.exception(SOON_S)]
        server.let(1)
        assert writers.write("next")[0].result(SOON_S) == b"ok next"

    (told,) = [error for error in errors if not isinstance(error, KeyboardInterrupt)]
    assert isinstance(told, BrokerUnavailable)
    assert not told.nothing_done


def test_one_that_is_interrupted_just_as_it_was_to_send_leaves_it_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Redis()
    wait = joint_writes._Write.wait

    def wait_and_be_interrupted(write: joint_writes._Write, timeout_s: float) -> bool:
        woken = wait(write, timeout_s)
        if write.to_send is not None and len(write.to_send) == 2:
            raise KeyboardInterrupt
        return woken

    monkeypatch.setattr(joint_writes._Write, "wait", wait_and_be_interrupted)
    with Writers(server.send) as writers:
        *_, one, other = busy(writers, server)
        server.let(MOST + 1)
        endings: list[Any] = [one.exception(SOON_S), other.exception(SOON_S)]

    assert sorted(map(repr, endings)) == ["KeyboardInterrupt()", "None"]
    assert writers.joint._under_way == 0


def test_one_that_is_interrupted_while_it_waits_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Redis()
    wait, interrupt = joint_writes._Write.wait, threading.Event()

    def wait_for_interrupt(write: joint_writes._Write, timeout_s: float) -> bool:
        if write.fields != [b"a"]:
            return wait(write, timeout_s)
        assert interrupt.wait(SOON_S)
        raise KeyboardInterrupt

    monkeypatch.setattr(joint_writes._Write, "wait", wait_for_interrupt)
    with Writers(server.send) as writers:
        *_, interrupted, other = busy(writers, server)
        interrupt.set()
        assert isinstance(interrupted.exception(SOON_S), KeyboardInterrupt)
        server.let(MOST + 1)
        assert other.result(SOON_S) == b"ok b"

    assert server.rounds[-1] == [b"b"]


def test_one_whose_turn_never_comes_sends_alone() -> None:
    """A thread may be interrupted between taking the sending upon itself and the rest of it."""
    server = Redis()
    server.let(1)
    joint = JointWrites(server.send, patience_s=0.05)
    joint._under_way = MOST

    assert joint.write([b"it"]) == b"ok it"
    assert joint._waiting == []


def test_many_threads_get_their_own_answers_through_all_kinds_of_failures() -> None:
    def send(entries: Sequence[Fields]) -> list[bytes | Exception]:
        texts = [fields[0] for fields in entries]
        if sum(map(len, texts)) % 5 == 0:
            raise BrokerUnavailable("gone")
        return [OutOfMemory("full") if text.endswith(b"7") else text for text in texts]

    joint = JointWrites(send, SOON_S)

    def write(first: int) -> int:
        right = 0
        for n in range(first, first + 500):
            try:
                right += joint.write([b"%d" % n]) == b"%d" % n
            except OutOfMemory:
                right += n % 10 == 7
            except BrokerUnavailable:
                right += 1
        return right

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(write, range(0, 8000, 500))) == 8000
    assert (joint._under_way, joint._waiting) == (0, [])
