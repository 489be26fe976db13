"""What follows from a failure: a retry, and when; or a dead letter, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.backoff import Backoff
from streamix_queue.core.errors import HandlerTimeout, Malformed, Reject, Retry
from streamix_queue.core.outcome import (
    ACK,
    HAND_BACK,
    HAND_OVER,
    PARK,
    DeadLetter,
    Outcome,
    Policy,
    Reason,
    RetryLater,
    decide,
)

POLICY = Policy(retry_limit=3, backoff=Backoff(1000, 300_000, 0.2))
NEVER_AGAIN = Policy(retry_limit=0, backoff=Backoff(1000, 300_000, 0.2))


class MyRetry(Retry):
    pass


class MyReject(Reject):
    pass


FAILURES: list[BaseException] = [
    Exception(),
    ValueError("x"),
    SystemExit(0),
    SystemExit("text"),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(),
    StopAsyncIteration(),
    BaseException(),
    MemoryError(),
    RecursionError(),
    AssertionError(),
    TimeoutError(),
    HandlerTimeout(),
    Malformed("not the handler's entry"),
]


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_any_failure_is_tried_again_after_the_backoff(error: BaseException) -> None:
    waits = [decide(POLICY, retries, error, 0.5) for retries in range(3)]

    assert waits == [RetryLater(1000), RetryLater(2000), RetryLater(4000)]


@pytest.mark.parametrize("error", FAILURES, ids=repr)
@pytest.mark.parametrize("retries", [3, 4, 1_000_000])
def test_after_the_limit_it_is_dead(error: BaseException, retries: int) -> None:
    reason = Reason.TIMEOUT if isinstance(error, HandlerTimeout) else Reason.RETRIES_EXHAUSTED

    assert decide(POLICY, retries, error, 0.5) == DeadLetter(reason)


def test_a_retry_limit_of_3_means_4_attempts_as_in_0_1_0() -> None:
    outcomes = [decide(POLICY, retries, ValueError(), 0.5) for retries in range(4)]

    assert [type(outcome) for outcome in outcomes] == [RetryLater, RetryLater, RetryLater, DeadLetter]


@pytest.mark.parametrize("error", [ValueError(), Retry(), Retry(after=0), SystemExit()], ids=repr)
def test_a_limit_of_0_means_one_attempt(error: BaseException) -> None:
    assert decide(NEVER_AGAIN, 0, error, 0.5) == DeadLetter(Reason.RETRIES_EXHAUSTED)


@pytest.mark.parametrize("policy", [POLICY, NEVER_AGAIN])
@pytest.mark.parametrize("retries", [0, 3, 7])
@pytest.mark.parametrize("error", [Reject("no such user"), Reject(), MyReject()], ids=repr)
def test_a_reject_is_dead_at_once(policy: Policy, retries: int, error: Reject) -> None:
    assert decide(policy, retries, error, 0.5) == DeadLetter(Reason.REJECTED)


@pytest.mark.parametrize(
    ("after", "delay_ms"),
    [
        (0, 0),
        (0.0, 0),
        (0.0004, 0),
        (0.0006, 1),
        (1, 1000),
        (2.5, 2500),
        (timedelta(minutes=1), 60_000),
        (86_400, 86_400_000),
    ],
)
def test_the_handler_may_say_when(after: float | timedelta, delay_ms: int) -> None:
    """Without jitter and past ``backoff_max_ms``: it knows why."""
    assert decide(POLICY, 2, Retry(after=after), 0.9) == RetryLater(delay_ms)
    assert decide(POLICY, 2, MyRetry(after=after), 0.9) == RetryLater(delay_ms)


def test_a_retry_that_does_not_say_when_has_the_ordinary_backoff() -> None:
    assert decide(POLICY, 1, Retry(), 0.5) == RetryLater(2000)


def test_a_retry_counts_against_the_limit_so_that_nothing_goes_round_for_ever() -> None:
    assert decide(POLICY, 3, Retry(after=0), 0.5) == DeadLetter(Reason.RETRIES_EXHAUSTED)


@given(st.integers(0, 100), st.integers(0, 100), st.sampled_from(FAILURES), st.floats(0, 1))
def test_every_failure_has_an_outcome(limit: int, retries: int, error: BaseException, spread: float) -> None:
    outcome = decide(Policy(limit, POLICY.backoff), retries, error, spread)

    if retries < limit:
        assert isinstance(outcome, RetryLater)
        assert 0 <= outcome.delay_ms <= POLICY.backoff.maximum_ms
    else:
        assert isinstance(outcome, DeadLetter)
        assert outcome.reason in Reason.ALL


def test_the_reasons_are_those_of_the_wire_format() -> None:
    assert set(Reason.ALL) == {
        "retries_exhausted",
        "rejected",
        "invalid",
        "malformed",
        "crash",
        "timeout",
        "trimmed",
    }


def test_each_outcome_has_a_name_of_its_own() -> None:
    outcomes: list[Outcome] = [ACK, HAND_OVER, PARK, HAND_BACK, RetryLater(1), DeadLetter(Reason.CRASH)]

    names = [outcome.name for outcome in outcomes]

    assert names == ["ack", "hand_over", "park", "hand_back", "retry", "dead_letter"]
