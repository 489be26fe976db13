"""The gate of a publisher: what it decides, without a clock, threads or Redis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.errors import BacklogFull
from streamix_queue.core.facts import PublishFreed, PublishHeldBack
from streamix_queue.core.hold_back import Gate, Wait, allowance, low_watermark

LIMIT = 1000


def gate(
    on_full: str = "block", *, found: int | None = None, at: float = 100.0, timeout_s: float = 5.0
) -> Gate:
    made = Gate("app.events", LIMIT, on_full, timeout_s)
    if found is not None:
        made.found("billing", found, at, at)
    return made


def decide(
    asked: Gate, *, waited_s: float = 0.0, now: float = 100.0, spread: float = 0.0, is_known: bool = True
) -> bool | Wait:
    return asked.decide(1, waited_s, now, spread, is_known=is_known)


def seconds_of(decision: bool | Wait) -> float:
    assert isinstance(decision, Wait)
    return decision.seconds


@pytest.mark.parametrize("limit", [1, 2, 3, 99, 100, 10**9])
def test_the_watermarks_make_sense_for_every_limit(limit: int) -> None:
    assert 0 <= low_watermark(limit) < limit
    for backlog in (0, limit // 2, limit, limit * 3):
        assert 1 <= allowance(backlog, limit) <= max(1, limit // 20)


# --- when to look -------------------------------------------------------------------------------


def test_a_new_one_passes_nothing_before_a_look() -> None:
    new = gate()

    assert not new.passes(1, 100.0)
    assert new.is_due(100.0)


def test_a_look_is_due_when_the_allowance_is_used_up() -> None:
    looked = gate(found=0)

    passed = 0
    while looked.passes(1, 100.0):
        passed += 1

    assert passed == allowance(0, LIMIT)
    assert looked.is_due(100.0)


@pytest.mark.parametrize(
    ("found", "took_s", "every_s"), [(0, 0.0, 1.0), (5000, 0.0, 0.1), (0, 2.0, 20.0), (5000, 2.0, 20.0)]
)
def test_a_look_is_due_again_in_a_while(found: int, took_s: float, every_s: float) -> None:
    looked = gate()
    looked.found("billing", found, 100.0 - took_s, 100.0)

    assert not looked.is_due(99.99 + every_s)
    assert looked.is_due(100.01 + every_s)


def test_it_need_not_count_beyond_the_watermark_that_is_next() -> None:
    looked = gate()
    assert looked.enough == LIMIT
    looked.found("billing", LIMIT, 100.0, 100.0)
    assert looked.enough == low_watermark(LIMIT)
    looked.found("billing", 0, 101.0, 101.0)
    assert looked.enough == LIMIT


def test_what_changes_is_told() -> None:
    looked = gate()

    facts = [
        looked.found("billing", backlog, 100.0 + n, 100.0 + n)
        for n, backlog in enumerate((0, 1000, 801, 800, 800))
    ]

    assert facts == [
        None,
        PublishHeldBack("app.events", "billing", 1000, LIMIT),
        None,
        PublishFreed("app.events", "billing", 800, 2.0),
        None,
    ]


def test_a_server_that_is_away_is_asked_again_in_a_second_and_not_by_every_write() -> None:
    looked = gate()
    looked.away(100.0)

    assert looked.passes(1, 100.9)
    assert looked.is_due(101.0)


def test_a_server_that_is_away_while_publishing_is_held_back_frees_nothing() -> None:
    full = gate(found=5000)
    full.away(101.0)

    assert not full.passes(1, 101.0)
    assert full.is_due(101.0)


# --- what to do ---------------------------------------------------------------------------------


def test_while_another_looks_as_many_as_before_go_on_and_then_wait() -> None:
    looked = gate(found=0)
    allowed = allowance(0, LIMIT)
    while looked.passes(1, 100.0):
        pass

    answers = [decide(looked, is_known=False) for _ in range(allowed + 1)]

    assert answers == [True] * allowed + [Wait(0.001)]


def test_what_is_shed_does_not_wait() -> None:
    assert decide(gate("shed", found=5000)) is False


@pytest.mark.parametrize(
    ("on_full", "timeout_s", "waited_s"), [("raise", 5.0, 0.0), ("block", 0.0, 0.0), ("block", 5.0, 5.0)]
)
def test_what_may_wait_no_more_is_refused(on_full: str, timeout_s: float, waited_s: float) -> None:
    with pytest.raises(BacklogFull, match=r"group 'billing' of stream 'app\.events': at least 5000 messages"):
        decide(gate(on_full, found=5000, timeout_s=timeout_s), waited_s=waited_s)


@pytest.mark.parametrize(("spread", "seconds"), [(0.0, 0.1), (1.0, 0.15)])
def test_what_waits_comes_back_after_the_next_look_is_due(spread: float, seconds: float) -> None:
    assert seconds_of(decide(gate(found=5000), spread=spread)) == pytest.approx(seconds)


def test_nobody_waits_beyond_the_timeout() -> None:
    assert seconds_of(decide(gate(found=5000), waited_s=4.98)) == pytest.approx(0.02)


def test_while_another_looks_for_long_a_look_that_is_overdue_is_awaited_shortly() -> None:
    assert seconds_of(decide(gate(found=5000), now=200.0, is_known=False)) == pytest.approx(0.01)


# --- as a whole ---------------------------------------------------------------------------------


@given(
    moves=st.lists(st.tuples(st.integers(1, 200), st.integers(0, 300), st.floats(0.0, 2.0)), max_size=60),
    spread=st.floats(0.0, 1.0),
)
def test_one_publisher_exceeds_the_limit_by_what_was_allowed_and_waits_for_the_low_watermark(
    moves: list[tuple[int, int, float]], spread: float
) -> None:
    """Whatever is published and handled at whatever moments."""
    asked = Gate("app.events", LIMIT, "shed", 0.0)
    now, backlog, is_held_back = 100.0, 0, False
    for publishing, handled, passing_s in moves:
        now, backlog = now + passing_s, max(0, backlog - handled)
        admitted = asked.passes(publishing, now)
        if not admitted:
            if asked.is_due(now):
                asked.found("billing", backlog, now, now)
                is_held_back = backlog > low_watermark(LIMIT) if is_held_back else backlog >= LIMIT
            decision = asked.decide(publishing, 0.0, now, spread, is_known=True)
            assert decision is not is_held_back
            admitted = decision is True
        if admitted:
            assert not is_held_back
            backlog += publishing
        # What is left of an allowance lets one more batch through, of whatever size.
        assert backlog < LIMIT + max(allowance(0, LIMIT), LIMIT // 100) + 200
