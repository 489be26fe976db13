"""What is welcome at the next read, decided from the state of the lanes alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.appetite import PLENTY, Appetite, LaneState, appetite_of, plan_read, share_of_lane

paces = st.one_of(st.none(), st.floats(0, 86_400))
NONE: frozenset[str] = frozenset()


def lane(
    name: str = "slow",
    *,
    limit: int = 1,
    running: int = 1,
    queued: int = 0,
    pace_s: float | None = 0.1,
    silent_s: float = 0.0,
    crowded: bool = False,
) -> LaneState:
    return LaneState(name, limit, running, queued, pace_s, silent_s, crowded)


def appetite(*states: LaneState, paused: frozenset[str] = NONE, several: bool = True) -> Appetite:
    return appetite_of(states, paused=paused, several=several, idle=True, pace_s=0.1)


# --- lanes ------------------------------------------------------------------------------------------


def test_with_nothing_to_judge_all_is_welcome() -> None:
    assert appetite() == Appetite(NONE, PLENTY, express=False, pace_s=0.1)


def test_an_event_with_a_quarter_of_a_second_of_work_is_not_read_and_others_are_looked_for() -> None:
    got = appetite(lane(queued=2))

    assert (got.closed, got.express) == (frozenset({"slow"}), True)


def test_an_event_that_made_room_stays_closed_until_its_lane_is_short() -> None:
    assert appetite(lane(queued=1, running=0, crowded=True)).closed == {"slow"}
    assert appetite(lane(queued=1, running=0)).closed == NONE


def test_of_a_slow_event_only_as_many_are_welcome_as_it_can_do_in_a_quarter_of_a_second() -> None:
    assert appetite(lane(queued=0)).most == 2
    assert appetite(lane(queued=1)).most == 1
    assert appetite(lane("a"), lane("b", queued=1)).most == 1
    assert appetite(lane(pace_s=1e-6)).most == PLENTY, "a quick one may have any number"
    assert appetite(lane(running=0)).most == PLENTY, "as long as it has a free worker, too"


def test_a_handler_that_does_not_end_counts_for_as_long_as_it_has_run() -> None:
    """Fails when only handlers that have ended tell how slow an event is."""
    assert appetite(lane(pace_s=0.001, queued=1, silent_s=0.4)).closed == NONE
    assert appetite(lane(pace_s=0.001, queued=1, silent_s=10.0)).closed == {"slow"}


def test_where_all_events_share_one_lane_only_a_pause_closes_an_inbox() -> None:
    got = appetite(lane(queued=1000), paused=frozenset({"paused"}), several=False)

    assert got == Appetite(frozenset({"paused"}), PLENTY, express=False, pace_s=0.1)


def test_a_paused_event_is_closed_and_says_nothing_about_how_many_are_welcome() -> None:
    assert appetite(lane(), paused=frozenset({"slow"})) == Appetite(
        frozenset({"slow"}), PLENTY, express=False, pace_s=0.1
    )


# --- reads ------------------------------------------------------------------------------------------


def read(free: int, streams: int, batch_size: int | None = None, most: int = PLENTY) -> int:
    count, all_of_them = plan_read(free, streams, 0, batch_size=batch_size, most=most, since_all_s=0.0)
    assert all_of_them
    return count


def test_no_more_is_asked_for_than_is_welcome() -> None:
    assert read(100, 2, most=3) == 3


def test_with_a_thousand_events_a_long_stream_is_read_as_with_one() -> None:
    """Fails when the streams that are empty take their share of every read."""
    alone = plan_read(4096, 1001, 1, batch_size=None, most=PLENTY, since_all_s=0.05)

    assert alone == (512, False)


def test_with_a_thousand_events_all_of_them_are_looked_at_ten_times_a_second() -> None:
    assert plan_read(4096, 1001, 1, batch_size=None, most=PLENTY, since_all_s=0.1) == (4, True)


def test_with_few_events_every_read_is_one_of_all() -> None:
    assert plan_read(100, 20, 1, batch_size=None, most=PLENTY, since_all_s=0.0) == (5, True)


@pytest.mark.parametrize(
    ("free", "streams", "batch_size", "count"),
    [
        (100, 1, None, 100),
        (100, 4, None, 25),
        (5000, 1, None, 512),
        (5000, 1, 700, 700),
        (100, 1, 10, 10),
        (100, 50, 10, 2),
        (3, 4, None, 1),
        (1, 1, 1, 1),
    ],
)
def test_the_free_credits_are_split_over_the_streams_of_a_read(
    free: int, streams: int, batch_size: int | None, count: int
) -> None:
    assert read(free, streams, batch_size) == count


@given(st.integers(1, 1_000_000), st.integers(1, 1000), st.one_of(st.none(), st.integers(1, 10_000)))
def test_a_read_asks_for_no_more_than_there_are_credits(
    free: int, streams: int, batch_size: int | None
) -> None:
    count = read(free, streams, batch_size)

    assert count >= 1
    assert count * streams <= free or count == 1
    assert count <= (batch_size or 512)


# --- shares ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queued", "idle", "pace_s", "share"),
    [
        (100, 0, None, 1),
        (100, 0, 1e-5, 64),
        (100, 0, 1e-4, 10),
        (100, 0, 0.01, 1),
        (100, 0, 0.0, 64),
        (9, 0, 1e-6, 9),
        (9, 2, 1e-6, 3),
        (10, 2, 1e-6, 4),
        (0, 3, 1e-6, 1),
    ],
)
def test_a_share_is_about_a_millisecond_and_leaves_some_for_the_idle(
    queued: int, idle: int, pace_s: float | None, share: int
) -> None:
    assert share_of_lane(queued, idle, pace_s) == share


@given(st.integers(1, 100_000), st.integers(0, 10_000), paces)
def test_a_share_never_leaves_an_idle_worker_without_work(
    queued: int, idle: int, pace_s: float | None
) -> None:
    share = share_of_lane(queued, idle, pace_s)

    assert 1 <= share <= 64
    assert share <= math.ceil(queued / (idle + 1))
