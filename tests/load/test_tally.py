from __future__ import annotations

import threading
import time

import pytest

from load.job import Job, pace
from load.tally import Tally


def test_each_message_once_is_neither_lost_nor_duplicated() -> None:
    tally = Tally(10)
    handle = tally.handler()
    for n in range(10):
        handle({"n": n})

    report = tally.report()

    assert (report["handled"], report["lost"], report["duplicates"]) == (10, 0, 0)
    assert tally.reached.is_set()


def test_what_is_missing_and_what_came_again_do_not_cancel_out() -> None:
    tally = Tally(10)
    handle = tally.handler()
    for n in [0, 1, 2, 3, 4, 5, 5, 5, 6, 7]:
        handle({"n": n})

    report = tally.report()

    assert (report["lost"], report["duplicates"]) == (2, 2)
    assert not tally.all_seen


def test_threads_that_race_lose_no_count() -> None:
    tally = Tally(20_000)
    handle = tally.handler()

    def share(first: int) -> None:
        for n in range(first, 20_000, 8):
            handle({"n": n})
            if n % 100 == first:
                handle({"n": n})

    threads = [threading.Thread(target=share, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    report = tally.report()
    again = sum(1 for n in range(20_000) if n % 100 == n % 8)
    assert (report["lost"], report["duplicates"]) == (0, again)


def test_the_clock_starts_after_the_warm_up() -> None:
    tally = Tally(4, warmup=2)
    handle = tally.handler()
    handle({"n": 0})
    time.sleep(0.3)
    for n in (1, 2, 3):
        handle({"n": n})

    report = tally.report()

    assert report["seconds"] < 0.3
    assert report["per_second"] == pytest.approx(2 / report["seconds"])


def test_an_unfinished_run_has_no_rate() -> None:
    tally = Tally(3)
    tally.handler()({"n": 1})

    assert tally.report()["per_second"] is None


def test_latencies_are_counted_from_when_a_message_was_due_and_without_the_warm_up() -> None:
    tally = Tally(4, warmup=1, latencies=True)
    handle = tally.handler()
    now = time.monotonic_ns()
    handle({"n": 0, "t": now - 9_000_000_000})
    for n in (1, 2, 3):
        handle({"n": n, "t": now - n * 1_000_000_000})

    assert tally.latency().count == 3
    assert 3.0 <= tally.latency().percentile(100) < 4.0
    assert tally.latency(lambda n: n == 1).percentile(100) < 2.0


def test_a_message_that_is_sent_late_keeps_the_time_it_was_due() -> None:
    schedule = pace(4, rate=50)
    _, first = next(schedule)
    time.sleep(0.1)  # a publish that took so long: five messages' time

    due = [at for _, at in schedule]

    assert [at - first for at in due] == [20_000_000, 40_000_000, 60_000_000]


def test_an_open_loop_sends_nothing_before_its_time() -> None:
    for _, due in pace(20, rate=500):
        assert time.monotonic_ns() >= due


def test_without_a_rate_nothing_waits() -> None:
    assert list(pace(3, None)) == [(0, 0), (1, 0), (2, 0)]


def test_a_consumer_that_never_gets_all_gives_up_at_its_deadline() -> None:
    job = Job("consume", "redis://unused", 2, deadline_s=0.2)
    job.tally.hit(0, 0)

    job.wait()

    assert job.tally.report()["lost"] == 1
