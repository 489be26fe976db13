"""Holding a publisher back: when it looks, when it stops, and when it goes on."""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from streamix_queue.broker.protocol import Backlog, PublisherBroker
from streamix_queue.core.errors import BacklogFull, BrokerRefused, BrokerUnavailable
from streamix_queue.core.facts import Fact, PublishFreed, PublishHeldBack
from streamix_queue.core.hold_back import allowance
from streamix_queue.publishing import hold_back
from streamix_queue.publishing.hold_back import HoldBack


class Clock:
    """Stands in for the module `time`: sleeping takes no time but moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class Broker:
    """Tells whatever backlog the test says, and counts how often it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.count = 0
        self.group = "billing"
        self.asked: list[int] = []
        self.error: Exception | None = None
        self.takes_s = 0.0
        self.on_look: Callable[[], None] = lambda: None

    def backlog(self, stream: str, enough: int) -> Backlog:
        self.asked.append(enough)
        self.clock.now += self.takes_s
        self.on_look()
        if self.error is not None:
            raise self.error
        return Backlog(self.group, self.count)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(hold_back, "time", made)
    return made


@pytest.fixture
def broker(clock: Clock) -> Broker:
    return Broker(clock)


facts: deque[Fact] = deque(maxlen=100)


def guard(broker: Broker, on_full: str = "raise", **options: Any) -> HoldBack:
    facts.clear()
    chosen = {"limit": 1000, "timeout_s": 5.0, **options}
    asked = cast("PublisherBroker", broker)
    return HoldBack(asked, "app.events", on_full=on_full, notice=facts.append, **chosen)


# --- how often it looks ------------------------------------------------------------------------------


def test_the_first_publish_looks_before_it_writes(broker: Broker) -> None:
    broker.count = 5000

    with pytest.raises(BacklogFull):
        guard(broker).admit(1)


def test_most_publishes_ask_nothing(broker: Broker) -> None:
    held = guard(broker, limit=100_000)

    assert all(held.admit(1) for _ in range(5000))
    assert len(broker.asked) == 1


def test_it_looks_again_when_so_much_was_published_that_it_may_matter(broker: Broker) -> None:
    held = guard(broker, limit=100_000)

    for _ in range(4):
        held.admit(5000)

    assert len(broker.asked) == 4


def test_near_the_limit_it_looks_after_a_hundredth_of_it(broker: Broker) -> None:
    broker.count = 999
    held = guard(broker)

    for _ in range(50):
        held.admit(1)

    assert len(broker.asked) == 5


def test_it_looks_again_after_a_second_though_little_was_published(broker: Broker, clock: Clock) -> None:
    held = guard(broker)
    held.admit(1)
    clock.now += 0.9
    held.admit(1)
    assert len(broker.asked) == 1

    clock.now += 0.2
    held.admit(1)

    assert len(broker.asked) == 2


def test_a_dear_look_is_taken_less_often(broker: Broker, clock: Clock) -> None:
    broker.takes_s = 2.0
    held = guard(broker)
    held.admit(1)
    clock.now += 19.0
    held.admit(1)
    assert len(broker.asked) == 1

    clock.now += 2.0
    held.admit(1)

    assert len(broker.asked) == 2


def test_it_asks_for_no_more_than_it_needs_to_know(broker: Broker, clock: Clock) -> None:
    broker.count = 1000
    held = guard(broker, on_full="shed")
    held.admit(1)
    clock.now += 1
    held.admit(1)

    assert broker.asked == [1000, 800]


def test_only_one_thread_looks_and_the_others_go_on_by_as_much_again(broker: Broker, clock: Clock) -> None:
    """Fails when they wait at once, or when they publish without end while one looks for long."""
    held = guard(broker)
    held.admit(1)
    allowed = allowance(0, 1000)
    looking, go_on = threading.Event(), threading.Event()

    def look_slowly() -> None:
        looking.set()
        assert go_on.wait(10)

    broker.on_look = look_slowly
    clock.now += 1
    first = threading.Thread(target=held.admit, args=(1,))
    first.start()
    assert looking.wait(10)

    for _ in range(2 * allowed - 1):
        assert held.admit(1), "it did not wait for the other"
    assert not clock.sleeps
    one_more = threading.Thread(target=held.admit, args=(1,))
    one_more.start()
    while not clock.sleeps:
        one_more.join(0.001)
        assert one_more.is_alive(), "it did not wait"

    go_on.set()
    first.join(10)
    one_more.join(10)
    assert not one_more.is_alive()
    assert len(broker.asked) == 2


def test_a_look_that_another_thread_has_just_ended_is_not_taken_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a thread that found a look due takes it without asking again once it has the token."""
    held = guard(broker)
    is_due, others = held._gate.is_due, iter([held.admit])

    def interrupted(now: float) -> bool:
        due = is_due(now)
        for other in others:
            other(1)
        return due

    monkeypatch.setattr(held._gate, "is_due", interrupted)

    assert held.admit(1)
    assert len(broker.asked) == 1


def test_a_fork_in_the_middle_of_a_look_is_no_end_of_looking(
    broker: Broker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = guard(broker)
    held.admit(1)
    broker.count = 5000
    clock.now += 1
    held._token.get().clear()  # the parent's other thread holds it, and is not in the child
    assert held.admit(1)

    monkeypatch.setattr("os.getpid", lambda: -1)

    with pytest.raises(BacklogFull):
        held.admit(1)


# --- the watermarks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("backlog", "admitted"), [(0, True), (999, True), (1000, False), (10**9, False)])
def test_the_limit_is_where_it_stops(broker: Broker, backlog: int, admitted: bool) -> None:
    broker.count = backlog

    assert guard(broker, on_full="shed").admit(1) is admitted


def test_it_goes_on_at_four_fifths_and_not_before(broker: Broker, clock: Clock) -> None:
    held = guard(broker, on_full="shed")
    answers = []
    for count in (1000, 999, 801, 800, 999, 1000, 900):
        broker.count = count
        clock.now += 1.1
        answers.append(held.admit(1))

    assert answers == [False, False, False, True, True, False, False]


def test_a_full_one_is_looked_at_ten_times_a_second_however_many_call(broker: Broker, clock: Clock) -> None:
    broker.count = 5000
    held = guard(broker)
    refused = 0
    for _ in range(1000):
        clock.now += 0.001
        with pytest.raises(BacklogFull):
            held.admit(1)
        refused += 1

    assert refused == 1000
    assert 9 <= len(broker.asked) <= 11


# --- what it does then -----------------------------------------------------------------------------------


def test_raise_says_who_is_how_far_behind(broker: Broker) -> None:
    broker.count = 5000

    with pytest.raises(BacklogFull) as caught:
        guard(broker).admit(1)

    error = caught.value
    assert str(error) == (
        "group 'billing' of stream 'app.events': at least 5000 messages to be handled, max_backlog=1000; "
        "nothing was written"
    )
    assert (error.group, error.backlog, error.written) == ("billing", 5000, ())


def test_a_stream_without_a_group_is_told_as_that(broker: Broker) -> None:
    broker.count, broker.group = 5000, ""

    with pytest.raises(BacklogFull, match=r"no group reads stream 'app\.events': at least 5000"):
        guard(broker).admit(1)


def test_block_goes_on_as_soon_as_the_group_has_caught_up(broker: Broker, clock: Clock) -> None:
    broker.count = 5000
    held = guard(broker, on_full="block")

    def catch_up() -> None:
        if clock.now > 102:
            broker.count = 10

    broker.on_look = catch_up

    assert held.admit(1)
    assert 102 < clock.now < 102.5
    assert len(clock.sleeps) < 25


def test_block_gives_up_in_time(broker: Broker, clock: Clock) -> None:
    broker.count = 5000
    held = guard(broker, on_full="block", timeout_s=3.0)

    with pytest.raises(BacklogFull, match="after 3 s"):
        held.admit(1)

    assert clock.now == pytest.approx(103.0)


def test_block_with_no_time_to_wait_raises_at_once(broker: Broker, clock: Clock) -> None:
    broker.count = 5000

    with pytest.raises(BacklogFull):
        guard(broker, on_full="block", timeout_s=0.0).admit(1)

    assert clock.sleeps == []


def test_an_outage_is_left_to_the_write(broker: Broker) -> None:
    broker.error = BrokerUnavailable("gone")
    held = guard(broker, on_full="block")

    assert all(held.admit(1) for _ in range(10))
    assert len(broker.asked) == 1, "it does not wait once more for every write"


def test_an_outage_while_held_back_is_left_to_the_write(broker: Broker, clock: Clock) -> None:
    broker.count = 5000
    held = guard(broker, on_full="shed")
    assert not held.admit(1)
    broker.error = BrokerUnavailable("gone")
    clock.now += 1

    assert held.admit(1)

    broker.error = None
    assert not held.admit(1), "it looks as soon as Redis is back"


def test_a_backlog_that_redis_will_not_tell_is_an_error(broker: Broker) -> None:
    broker.error = BrokerRefused("NOPERM")

    with pytest.raises(BrokerRefused):
        guard(broker).admit(1)


def test_beginning_and_end_are_told_once(broker: Broker, clock: Clock) -> None:
    held = guard(broker, on_full="shed")
    for count in (0, 2000, 1500, 1200, 10, 0):
        broker.count = count
        held.admit(1)
        clock.now += 2.0

    assert list(facts) == [
        PublishHeldBack("app.events", "billing", 2000, 1000),
        PublishFreed("app.events", "billing", 10, 6.0),
    ]


def test_the_error_survives_being_sent_to_another_process() -> None:
    error = BacklogFull("full", "billing", 7)
    error.written = (1, 2)

    again = pickle.loads(pickle.dumps(error))

    assert (str(again), again.group, again.backlog, again.written) == ("full", "billing", 7, (1, 2))
