from __future__ import annotations

import math
import random

import pytest

from load.histogram import Histogram


@pytest.mark.parametrize("percent", [50, 90, 99, 99.9])
def test_a_percentile_is_never_below_the_exact_one_and_at_most_half_a_percent_above(percent: float) -> None:
    dice = random.Random(7)
    times = sorted(dice.lognormvariate(-7, 1.5) for _ in range(20_000))
    histogram = Histogram()
    for seconds in times:
        histogram.record(seconds)

    exact = times[math.ceil(len(times) * percent / 100) - 1]

    assert exact - 1e-9 <= histogram.percentile(percent) <= exact * 1.005 + 1e-9


def test_the_maximum_is_exact() -> None:
    histogram = Histogram()
    for seconds in (0.1, 3.14159, 0.2):
        histogram.record(seconds)

    assert histogram.percentile(100) == 3.14159
    assert histogram.summary_ms()["max"] == pytest.approx(3141.59)


def test_of_nothing_there_is_no_percentile() -> None:
    assert math.isnan(Histogram().percentile(99))
    assert Histogram().summary_ms() == {}


def test_a_negative_time_counts_as_none_at_all() -> None:
    histogram = Histogram()
    histogram.record(-0.5)

    assert histogram.percentile(50) == 0.0
    assert histogram.mean_s == 0.0


def test_two_added_up_are_as_one_and_json_keeps_them() -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for n in range(1000):
        (one if n % 3 else other).record(n / 1e4)
        both.record(n / 1e4)

    one.add(Histogram.from_json(other.to_json()))

    assert (one.count, one.max_s) == (both.count, both.max_s)
    assert one.summary_ms() == both.summary_ms()
    assert one.mean_s == pytest.approx(both.mean_s)
