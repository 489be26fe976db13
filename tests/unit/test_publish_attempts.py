"""What a publish does after a try that failed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.errors import BrokerError, BrokerUnavailable, NotEnoughReplicas, PublishUnknown
from streamix_queue.core.publish_attempts import Again, PublishAttempts

spreads = st.floats(0.0, 1.0)


def refused() -> BrokerUnavailable:
    """Redis surely did nothing."""
    error = BrokerUnavailable("loading")
    error.nothing_done = True
    return error


def lost() -> BrokerUnavailable:
    """The reply did not come: it may have been carried out."""
    return BrokerUnavailable("reset")


def test_as_long_as_nothing_was_done_it_is_written_again() -> None:
    attempts = PublishAttempts(100.0, "id")

    assert [attempts.after(refused(), 1.0, 0.5).look_first for _ in range(3)] == [False] * 3


def test_from_the_first_lost_reply_on_it_looks_before_it_writes() -> None:
    """Fails when a later refusal makes it forget that an earlier try may have been carried out."""
    attempts = PublishAttempts(100.0, "id")

    again = [attempts.after(error, 1.0, 0.5).look_first for error in (refused(), lost(), refused())]

    assert again == [False, True, True]


def test_it_waits_twice_as_long_each_time_up_to_a_second() -> None:
    attempts = PublishAttempts(100.0, "id")

    waits = [attempts.after(refused(), 1.0, 1.0).wait_s for _ in range(6)]

    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


@pytest.mark.parametrize("spread", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_waits_are_spread_also_when_they_have_become_the_longest(spread: float) -> None:
    """Fails when half of those that failed together come back together."""
    attempts = PublishAttempts(100.0, "id")
    for _ in range(9):
        attempts.after(refused(), 1.0, 1.0)

    assert attempts.after(refused(), 1.0, spread).wait_s == pytest.approx(0.5 + spread / 2)


@pytest.mark.parametrize(("spread", "wait_s"), [(0.0, 0.05), (1.0, 0.1)])
def test_publishers_that_failed_together_come_back_apart(spread: float, wait_s: float) -> None:
    assert PublishAttempts(100.0, "id").after(refused(), 1.0, spread) == Again(wait_s, look_first=False)


def test_a_try_that_would_begin_in_time_is_made() -> None:
    assert PublishAttempts(10.1, "id").after(refused(), 10.0, 1.0).wait_s == pytest.approx(0.1)


def test_without_time_left_it_says_that_nothing_was_written() -> None:
    error = refused()

    with pytest.raises(BrokerUnavailable, match=r"^loading; tried 1 times, nothing was written$") as caught:
        PublishAttempts(10.0, "id").after(error, 10.0, 0.0)

    assert caught.value.__cause__ is error


def test_without_time_left_after_a_lost_reply_it_says_that_nobody_knows() -> None:
    attempts = PublishAttempts(10.0, "the-id")
    attempts.after(lost(), 1.0, 0.0)

    with pytest.raises(
        PublishUnknown, match=r"^loading; tried 2 times, the message may be in or out$"
    ) as caught:
        attempts.after(refused(), 10.0, 0.0)

    assert caught.value.message_id == "the-id"


def test_too_few_replicas_are_told_at_once() -> None:
    error = NotEnoughReplicas("NOREPLICAS")

    with pytest.raises(NotEnoughReplicas) as caught:
        PublishAttempts(100.0, "id").after(error, 1.0, 0.5)

    assert caught.value is error


@given(
    failures=st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.5), spreads), min_size=1),
    patience_s=st.floats(0.0, 5.0),
)
def test_it_ends_and_never_says_that_nothing_was_written_when_it_may_be(
    failures: list[tuple[bool, float, float]], patience_s: float
) -> None:
    """Whatever fails, however long each try takes: no wait goes beyond the deadline."""
    now, deadline = 50.0, 50.0 + patience_s
    attempts = PublishAttempts(deadline, "id")
    tried: list[bool] = []
    ending: BrokerError | None = None
    while ending is None:
        is_lost, took_s, spread = failures[len(tried) % len(failures)]
        now += took_s
        tried.append(is_lost)
        try:
            again = attempts.after(lost() if is_lost else refused(), now, spread)
        except BrokerError as error:
            ending = error
        else:
            now += again.wait_s
            assert again.look_first is any(tried)
            assert 0.05 <= again.wait_s <= 1.0
            assert now <= deadline
    assert isinstance(ending, PublishUnknown) is any(tried)
