"""Where values are counted."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from streamix_telemetry.catalogue import QUEUE_TIME_SECONDS
from streamix_telemetry.cells import HistogramCell

BOUNDS = QUEUE_TIME_SECONDS.buckets
VALUES = strategies.one_of(
    strategies.floats(0, 5000),
    strategies.sampled_from(BOUNDS),
    strategies.floats(0.9, 1.1),
    strategies.just(0.0),
)


@given(strategies.lists(VALUES, max_size=200))
def test_many_values_at_once_are_counted_like_each_alone(values: list[float]) -> None:
    one, many = HistogramCell(BOUNDS), HistogramCell(BOUNDS)
    for value in values:
        one.observe(value)
    many.observe_many(list(values))

    assert many.counts == one.counts
    assert many.total == pytest.approx(one.total)
