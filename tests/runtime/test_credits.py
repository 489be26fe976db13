import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from streamix_queue.runtime import Credits

SOON = 10.0


def until_waiting(credits: Credits, waiters: int) -> None:
    deadline = time.monotonic() + SOON
    while True:
        with credits._changed:
            if credits._waiting == waiters:
                return
        assert time.monotonic() < deadline


def test_what_is_taken_is_missing_until_it_is_given_back() -> None:
    credits = Credits(10)

    credits.take(4)
    assert (credits.free, credits.limit) == (6, 10)

    credits.give(4)
    assert (credits.free, credits.limit) == (10, 10)


def test_credits_may_be_overdrawn() -> None:
    """Redis may hand out more than was asked for; what we hold must be counted."""
    credits = Credits(2)

    credits.take(5)

    assert credits.free == -3
    assert credits.wait(1, 0.0) == -3


def test_a_new_limit_keeps_what_is_held() -> None:
    credits = Credits(10)
    credits.take(8)

    credits.resize(5)
    assert (credits.free, credits.limit) == (-3, 5)

    credits.resize(20)
    assert (credits.free, credits.limit) == (12, 20)

    credits.give(8)
    assert credits.free == credits.limit == 20


def test_wait_returns_at_once_when_there_is_enough() -> None:
    before = time.monotonic()

    assert Credits(3).wait(3, SOON) == 3

    assert time.monotonic() - before < SOON / 2


def test_wait_gives_up_after_its_timeout() -> None:
    assert Credits(3).wait(4, 0.01) == 3


def test_wait_ends_when_enough_is_given_back() -> None:
    credits = Credits(4)
    credits.take(4)
    with ThreadPoolExecutor(1) as pool:
        free = pool.submit(credits.wait, 2, SOON)
        until_waiting(credits, 1)

        credits.give(1)  # not yet enough
        credits.give(1)

        assert free.result(SOON / 2) == 2


def test_wait_ends_when_the_limit_grows() -> None:
    credits = Credits(0)
    with ThreadPoolExecutor(1) as pool:
        free = pool.submit(credits.wait, 5, SOON)
        until_waiting(credits, 1)

        credits.resize(5)

        assert free.result(SOON / 2) == 5


def test_a_wake_ends_every_wait() -> None:
    credits = Credits(0)
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(credits.wait, 1, SOON) for _ in range(2)]
        until_waiting(credits, 2)

        assert credits.wake() == 0

        assert [ended.result(SOON / 2) for ended in waits] == [0, 0]


def test_a_wake_just_before_a_wait_is_not_lost_and_counts_once() -> None:
    """Otherwise a stop between the check of the flag and the wait costs the whole timeout."""
    credits = Credits(0)
    credits.wake()

    began = time.monotonic()
    assert credits.wait(1, SOON) == 0
    assert time.monotonic() - began < SOON / 2

    began = time.monotonic()
    assert credits.wait(1, 0.05) == 0
    assert time.monotonic() - began >= 0.05


def test_no_credit_is_lost_or_made_between_threads() -> None:
    """Told without luck: each sum is interrupted half way by another thread that wants in."""
    credits = Credits(100)

    class Slow(int):
        def __rsub__(self, free: int) -> int:
            return free - int(self.interrupted(credits.take))

        def __radd__(self, free: int) -> int:
            return free + int(self.interrupted(credits.give))

        def interrupted(self, change: Callable[[int], None]) -> int:
            others.append(pool.submit(change, 1))
            wait(others, 0.05)  # the other cannot end before we do, unless there is no lock
            return int(self)

    others: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        credits.take(Slow(10))
        wait(others, SOON)
        assert credits.free == 89

        credits.give(Slow(10))
        wait(others, SOON)
        assert credits.free == 100
