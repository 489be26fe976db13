"""How long to wait: doubled, spread, capped, and never out of bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.backoff import Backoff

YEAR_MS = 366 * 86_400_000
backoffs = st.builds(
    lambda base, more, jitter: Backoff(base, min(base + more, YEAR_MS), jitter),
    st.integers(0, YEAR_MS),
    st.integers(0, YEAR_MS),
    st.floats(0, 1),
)
failures = st.integers(1, 1_000_001)
spreads = st.floats(0, 1)


@pytest.mark.parametrize(
    ("failed", "wait"),
    [(1, 1000), (2, 2000), (3, 4000), (4, 8000), (8, 128_000), (9, 256_000), (10, 300_000)],
)
def test_the_wait_doubles_up_to_the_cap(failed: int, wait: int) -> None:
    assert Backoff(1000, 300_000, 0.0).delay_ms(failed, 0.77) == wait


@pytest.mark.parametrize(
    ("spread", "wait"), [(0.0, 800), (0.25, 900), (0.5, 1000), (0.75, 1100), (1.0, 1200)]
)
def test_the_jitter_spreads_the_wait_either_way(spread: float, wait: int) -> None:
    assert Backoff(1000, 300_000, 0.2).delay_ms(1, spread) == wait


@pytest.mark.parametrize(("spread", "wait"), [(0.0, 240_000), (0.5, 300_000), (1.0, 300_000)])
def test_jitter_does_not_break_the_cap(spread: float, wait: int) -> None:
    assert Backoff(1000, 300_000, 0.2).delay_ms(50, spread) == wait


def test_full_jitter_spreads_from_nothing_to_twice_the_wait() -> None:
    assert [Backoff(1000, 300_000, 1.0).delay_ms(1, spread) for spread in (0.0, 0.5, 1.0)] == [0, 1000, 2000]


def test_without_a_base_there_is_no_wait() -> None:
    assert [Backoff(0, 0, 0.5).delay_ms(failed, 1.0) for failed in (1, 2, 100)] == [0, 0, 0]
    assert Backoff(0, 60_000, 0.5).delay_ms(1_000_000, 1.0) == 0


def test_a_million_failures_cost_no_time_and_no_overflow() -> None:
    assert Backoff(1, YEAR_MS, 0.0).delay_ms(1_000_001, 0.5) == YEAR_MS


@given(backoffs, failures, spreads)
def test_the_wait_is_within_jitter_of_the_capped_power(backoff: Backoff, failed: int, spread: float) -> None:
    capped = min(backoff.base_ms * 2 ** min(failed - 1, 60), backoff.maximum_ms)

    wait = backoff.delay_ms(failed, spread)

    assert isinstance(wait, int)
    assert 0 <= wait <= backoff.maximum_ms
    assert capped * (1 - backoff.jitter) - 1 <= wait <= capped * (1 + backoff.jitter)


@given(backoffs, failures, spreads, spreads)
def test_more_failures_never_wait_less_and_more_spread_neither(
    backoff: Backoff, failed: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert backoff.delay_ms(failed, one) <= backoff.delay_ms(failed + 1, one)
    assert backoff.delay_ms(failed, low) <= backoff.delay_ms(failed, high)
