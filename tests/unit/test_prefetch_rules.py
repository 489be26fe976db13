"""How much is held: about a quarter of a second of work, never more than is good for the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.prefetch_rules import FIRST_PREFETCH, prefetch_for, resume_at

paces = st.one_of(st.none(), st.floats(0, 86_400))
threads = st.integers(1, 10_000)
sizes = st.floats(0, 512 * 1024 * 1024)


# --- prefetch ---------------------------------------------------------------------------------------


def test_before_anything_is_known_0_1_0s_batch_is_held() -> None:
    assert prefetch_for(None, 1, 0.0) == FIRST_PREFETCH == 10
    assert prefetch_for(None, 32, 0.0) == 32, "one for each thread at least"


@pytest.mark.parametrize(
    ("pace_s", "concurrency", "held"),
    [
        (0.025, 1, 10),
        (0.025, 4, 40),
        (0.25, 4, 4),
        (60.0, 4, 4),
        (3600.0, 1, 1),
        (0.001, 1, 250),
        (1e-6, 1, 4096),
        (0.0, 1, 4096),
    ],
)
def test_about_a_quarter_of_a_second_of_work_is_held(pace_s: float, concurrency: int, held: int) -> None:
    assert prefetch_for(pace_s, concurrency, 200.0) == held


def test_big_messages_are_held_in_smaller_numbers() -> None:
    megabyte = 1024.0 * 1024

    assert prefetch_for(1e-6, 1, megabyte) == 16
    assert prefetch_for(1e-6, 4, 512 * megabyte) == 4, "each thread has one all the same"


def test_until_a_size_is_known_no_more_is_held_than_at_first() -> None:
    """Fails when a quick handler alone may raise the number: the next read would bring thousands."""
    assert prefetch_for(1e-6, 1, 0.0) == FIRST_PREFETCH


def test_what_is_held_beyond_that_is_bounded_by_its_size_as_well() -> None:
    megabyte = 1024.0 * 1024

    assert prefetch_for(0.025, 1, 200.0, 64) == 10 + 64
    assert prefetch_for(0.025, 1, megabyte, 64) == 16


@given(paces, threads, sizes)
def test_every_thread_has_work_and_memory_is_bounded(
    pace_s: float | None, concurrency: int, mean_bytes: float
) -> None:
    held = prefetch_for(pace_s, concurrency, mean_bytes)

    assert concurrency <= held <= max(4096, concurrency)
    if pace_s is not None:
        assert held == concurrency or held * mean_bytes <= 16 * 1024 * 1024
        assert held == concurrency or held * pace_s <= concurrency * 0.25 + 1e-6


@given(st.floats(0, 100), st.floats(0, 100), threads, sizes)
def test_a_slower_handler_never_holds_more(
    one: float, other: float, concurrency: int, mean_bytes: float
) -> None:
    fast, slow = sorted((one, other))

    assert prefetch_for(slow, concurrency, mean_bytes) <= prefetch_for(fast, concurrency, mean_bytes)


# --- reads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefetch", "concurrency", "needed"),
    [
        (10, 1, 2),
        (8, 1, 2),
        (7, 1, 1),
        (1, 1, 1),
        (4096, 1, 1024),
        (4, 4, 1),
        (64, 8, 16),
        (16, 2, 4),
        (15, 2, 1),
    ],
)
def test_a_read_waits_for_a_quarter_of_the_credits_unless_they_are_few(
    prefetch: int, concurrency: int, needed: int
) -> None:
    assert resume_at(prefetch, concurrency) == needed


@given(st.integers(1, 1_000_000), threads)
def test_there_are_always_enough_credits_to_go_on_with(prefetch: int, concurrency: int) -> None:
    assert 1 <= resume_at(prefetch, concurrency) <= max(1, prefetch // 4)
