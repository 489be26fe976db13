import threading
import time
from collections.abc import Callable

import pytest

from streamix_queue.runtime import Actor, Closed, Mailbox

SOON = 10.0


class Told(Actor):
    """Runs a script of steps, one callable each, then stops itself; writes down its life."""

    transient: tuple[type[BaseException], ...] = (ConnectionError,)

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__("told")
        self.steps = list(steps)
        self.diary: list[str] = []
        self.failures: list[int] = []

    def setup(self) -> None:
        self.diary.append("setup")

    def step(self) -> None:
        self.diary.append("step")
        if self.steps:
            self.steps.pop(0)()
        else:
            self.stop()

    def teardown(self) -> None:
        self.diary.append("teardown")

    def on_transient(self, error: BaseException, attempt: int) -> float:
        self.failures.append(attempt)
        return 0.0


def fail(error: BaseException) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


def fine() -> None:
    pass


def test_an_actor_sets_up_steps_until_stopped_and_tears_down() -> None:
    actor = Told(fine, fine)

    actor.run()

    assert actor.diary == ["setup", "step", "step", "step", "teardown"]


def test_an_error_out_of_a_step_is_a_crash_after_teardown() -> None:
    actor = Told(fine, fail(LookupError("bug")))

    with pytest.raises(LookupError, match="bug"):
        actor.run()

    assert actor.diary == ["setup", "step", "step", "teardown"]


def test_an_error_out_of_setup_is_a_crash_after_teardown() -> None:
    actor = Told()
    actor.setup = fail(LookupError("bug"))  # type: ignore[method-assign, assignment]

    with pytest.raises(LookupError, match="bug"):
        actor.run()

    assert actor.diary == ["teardown"]


def test_a_closed_mailbox_is_a_normal_end() -> None:
    actor = Told(fine, fail(Closed()))

    actor.run()

    assert actor.diary == ["setup", "step", "step", "teardown"]


def test_an_actor_stopped_before_it_ran_takes_no_step() -> None:
    actor = Told(fine)

    actor.stop()
    actor.run()

    assert "step" not in actor.diary
    assert actor.diary[-1] == "teardown"


def test_a_stop_during_setup_prevents_the_first_step() -> None:
    actor = Told(fine)
    actor.setup = actor.stop  # type: ignore[method-assign]

    actor.run()

    assert actor.diary == ["teardown"]


def test_a_transient_error_is_waited_out_and_a_good_step_forgives_it() -> None:
    lost = fail(ConnectionError())
    actor = Told(lost, lost, lost, fine, lost, fine)

    actor.run()

    assert actor.failures == [1, 2, 3, 1]
    assert actor.diary[-1] == "teardown"


def test_a_transient_error_in_setup_is_waited_out_and_setup_tried_again() -> None:
    actor = Told(fine)
    tries = iter([ConnectionError(), ConnectionError(), None])

    def setup() -> None:
        actor.diary.append("setup")
        if (error := next(tries)) is not None:
            raise error

    actor.setup = setup  # type: ignore[method-assign]
    actor.run()

    assert actor.failures == [1, 2]
    assert actor.diary == ["setup", "setup", "setup", "step", "step", "teardown"]


def test_nothing_is_transient_unless_said() -> None:
    actor = Told(fail(ConnectionError()))
    actor.transient = ()

    with pytest.raises(ConnectionError):
        actor.run()


def test_the_wait_grows_with_jitter_to_a_second_whatever_the_length_of_an_outage() -> None:
    actor = Actor("plain")

    def wait(attempt: int) -> float:
        return actor.on_transient(ConnectionError(), attempt)

    for attempt in (1, 2, 3, 4):
        assert 0.025 * 2**attempt <= wait(attempt) <= 0.05 * 2**attempt
    for attempt in (5, 100, 10_000, 10**9):  # 2.0**1024 would overflow
        assert 0.5 <= wait(attempt) <= 1.0
    assert len({wait(5) for _ in range(20)}) > 1


def test_stop_wakes_the_actor_and_may_come_from_any_thread() -> None:
    mailbox: Mailbox[int] = Mailbox()
    reading = threading.Event()

    class Reader(Actor):
        def step(self) -> None:
            reading.set()
            mailbox.get_many(1)[0]

        def wake(self) -> None:
            mailbox.close()

    actor = Reader("reader")
    thread = threading.Thread(target=actor.run, name="streamix.reader", daemon=True)
    thread.start()
    assert reading.wait(SOON)

    actor.stop()

    thread.join(SOON)
    assert not thread.is_alive()


def test_a_replaced_actor_knows_it_when_it_is_woken_and_no_longer_drains() -> None:
    seen: list[bool] = []

    class Drainer(Actor):
        def stop(self) -> None:
            self.wake()  # leaves `stopping` alone: it ends when its mailbox is empty

        def wake(self) -> None:
            seen.append(self.replaced)

    actor = Drainer("drainer")

    actor.stop()
    assert not actor.stopping.is_set()

    actor.replace()
    assert actor.replaced
    assert actor.stopping.is_set()
    assert seen == [False, True]


def test_every_step_is_progress() -> None:
    actor = Told()
    begun: list[float] = []
    actor.steps = [lambda: begun.append(actor.last_progress) for _ in range(2)]
    actor.last_progress = 0.0
    before = time.monotonic()

    actor.run()

    assert before <= begun[0] <= begun[1] <= time.monotonic()


def test_a_pause_ends_after_its_time_and_tells_that_nobody_stops() -> None:
    actor = Actor("sleeper")
    before = time.monotonic()

    assert actor.rest(0.05) is False
    assert time.monotonic() - before >= 0.05


def test_a_pause_ends_at_once_when_stopped() -> None:
    actor = Actor("sleeper")
    timer = threading.Timer(0.01, actor.stop)
    timer.start()
    before = time.monotonic()

    assert actor.rest(3600.0) is True
    assert time.monotonic() - before < SOON
    assert actor.rest(float("inf")) is True
    timer.join()


def test_a_pause_longer_than_the_deadline_is_no_stall() -> None:
    actor = Actor("sleeper")
    actor.progress_deadline = 0.03
    beats: list[float] = []
    actor.beat = lambda: (beats.append(time.monotonic()), Actor.beat(actor))[1]  # type: ignore[method-assign, func-returns-value]

    actor.rest(0.3)

    # At least one beat per deadline, were the machine idle; a loaded one still makes several.
    assert len(beats) >= 5


def test_an_unwatched_actor_pauses_too() -> None:
    actor = Actor("sleeper")
    actor.progress_deadline = None

    assert actor.rest(0.01) is False
