import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from streamix_queue.runtime import Closed, Mailbox

SOON = 10.0  # a deadline for what should happen at once, on a loaded machine


def until_waiting(mailbox: Mailbox[int], readers: int) -> None:
    """Return once so many readers are asleep (seen from inside: there is no event for it)."""
    deadline = time.monotonic() + SOON
    while True:
        with mailbox._lock:  # a reader counts itself and falls asleep under one lock
            if mailbox._waiting == readers:
                return
        assert time.monotonic() < deadline


def test_letters_come_out_in_the_order_they_went_in() -> None:
    mailbox: Mailbox[int] = Mailbox()

    mailbox.put(1)
    mailbox.put_many([2, 3])
    mailbox.put(4)

    assert len(mailbox) == 4
    assert mailbox.get_many(1)[0] == 1
    assert mailbox.get_many(10) == [2, 3, 4]
    assert len(mailbox) == 0


def test_get_many_takes_no_more_than_its_limit() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put_many(range(5))

    assert mailbox.get_many(3) == [0, 1, 2]
    assert mailbox.get_many(3) == [3, 4]


def test_a_timeout_gives_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()

    assert mailbox.get_many(3, 0.0) == []
    before = time.monotonic()
    assert mailbox.get_many(3, 0.05) == []
    assert mailbox.get_many(1, 0.05) == []
    assert 0.1 <= time.monotonic() - before < SOON


def test_a_closed_mailbox_drains_and_then_raises() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put_many([1, 2])

    mailbox.close()
    mailbox.close()

    assert mailbox.get_many(1)[0] == 1
    assert mailbox.get_many(5) == [2]
    for limit, timeout in ((1, None), (5, None), (5, 0.0)):
        with pytest.raises(Closed):
            mailbox.get_many(limit, timeout)


def test_a_closed_mailbox_refuses_letters() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.close()

    with pytest.raises(Closed):
        mailbox.put(1)
    with pytest.raises(Closed):
        mailbox.put_many([1])
    assert len(mailbox) == 0


def test_a_put_wakes_a_waiting_reader() -> None:
    mailbox: Mailbox[int] = Mailbox()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(mailbox.get_many, 1)
        until_waiting(mailbox, 1)

        mailbox.put(7)

        done, _ = wait([reader], SOON)
        mailbox.close()
        assert done
        assert reader.result() == [7]


def test_closing_wakes_every_waiting_reader() -> None:
    mailbox: Mailbox[int] = Mailbox()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(mailbox.get_many, 1) for _ in range(3)]
        until_waiting(mailbox, 3)

        mailbox.close()

        for reader in readers:
            assert isinstance(reader.exception(SOON), Closed)


def test_one_put_many_reaches_all_waiting_readers_one_after_another() -> None:
    """It wakes one reader only; a reader that leaves letters must wake the next."""
    mailbox: Mailbox[int] = Mailbox()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(mailbox.get_many, 1) for _ in range(3)]
        until_waiting(mailbox, 3)

        mailbox.put_many([1, 2, 3])

        done, _ = wait(readers, SOON)
        mailbox.close()
        assert sorted(reader.result() for reader in done) == [[1], [2], [3]]


def test_letters_of_many_writers_reach_many_readers_once_each() -> None:
    mailbox: Mailbox[int] = Mailbox()

    def read() -> list[int]:
        taken: list[int] = []
        while True:
            try:
                taken += mailbox.get_many(7)
            except Closed:
                return taken

    def write(start: int) -> None:
        for letter in range(start, start + 2000):
            mailbox.put(letter)

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        writers = [pool.submit(write, start) for start in range(0, 8000, 2000)]
        for writer in writers:
            writer.result(SOON)
        mailbox.close()

        letters = [letter for reader in readers for letter in reader.result(SOON)]
    assert sorted(letters) == list(range(8000))


def test_a_put_is_cheap_and_notifies_nobody_when_nobody_waits() -> None:
    """A microsecond, give or take the machine; the best of many runs, so that load is no matter."""
    mailbox: Mailbox[int] = Mailbox()
    notified = threading.Event()
    mailbox._arrived.notify = lambda n=1: notified.set()  # type: ignore[method-assign]

    best = 1.0
    for _ in range(50):
        began = time.perf_counter()
        for letter in range(1000):
            mailbox.put(letter)
        best = min(best, (time.perf_counter() - began) / 1000)

    assert not notified.is_set()
    assert best < 10e-6
