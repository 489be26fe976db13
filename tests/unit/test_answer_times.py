"""Whether the server answers as it usually does."""

from __future__ import annotations

from streamix_queue.core.answer_times import AnswerTimes


def _note(times: AnswerTimes, *took: float) -> list[bool]:
    return [times.note(100.0, 100.0 + seconds, 5_000) for seconds in took]


def test_an_answer_that_takes_long_is_not_as_usual() -> None:
    assert _note(AnswerTimes(0.5), 0.1, 0.5, 0.6, 0.1) == [True, True, False, True]


def test_one_that_took_long_excuses_no_other() -> None:
    """Fails when a server that stands still again and again comes to count as a slow link."""
    assert _note(AnswerTimes(0.1), 1.8, 0.9, 0.01, 1.8, 0.9, 0.01, 0.9) == [
        False, False, True, False, False, True, False,
    ]  # fmt: skip


def test_over_a_link_that_is_always_slow_that_is_usual() -> None:
    assert _note(AnswerTimes(0.1), 1.0, 1.0, 1.0, 1.0, 2.9, 3.1) == [False] * 3 + [True] * 2 + [False]


def test_the_server_may_come_to_what_is_sent_as_late_as_an_answer_may_take() -> None:
    times = AnswerTimes(0.5)
    times.note(100.0, 100.1, 5_000)

    assert times.latest_ms(100.1) == 5_500
    assert times.latest_ms(103.1) == 8_500
