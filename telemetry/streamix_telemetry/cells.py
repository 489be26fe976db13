"""What is counted, for one set of label values of a metric.

prometheus_client's own histogram takes a lock and scans its buckets for every value; here a
whole batch of settled messages is counted under one lock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

__all__ = ["CounterCell", "HistogramCell"]

_SORT_FROM = 16  # values; below this one search for each is quicker than sorting them


class CounterCell:
    """Written under the lock of its store."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0.0


class HistogramCell:
    """Written under the lock of its store.

    Args:
        bounds: Upper bounds of the buckets, ascending, without +Inf.
    """

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: tuple[float, ...] = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.total: float = 0.0
        self.exemplars: dict[int, tuple[str, str, float, float]] = {}

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_many(self, values: list[float]) -> None:
        """Count many; may sort the list.

        What is settled together is often alike and falls into one bucket. Else, once sorted, a
        search for each bound is cheaper than one for each value.
        """
        self.total += sum(values)
        counts, bounds = self.counts, self.bounds
        if len(values) < _SORT_FROM:
            for value in values:
                counts[bisect_left(bounds, value)] += 1
            return
        first, last = bisect_left(bounds, min(values)), bisect_left(bounds, max(values))
        if first == last:
            counts[first] += len(values)
            return
        values.sort()
        below = 0
        for index in range(first, last):
            up_to = bisect_right(values, bounds[index], below)
            counts[index] += up_to - below
            below = up_to
        counts[last] += len(values) - below

    def show(self, value: float, trace_id: str, span_id: str, at: float) -> None:
        """Make the trace the exemplar of the bucket of ``value``, which was counted at ``at``."""
        self.exemplars[bisect_left(self.bounds, value)] = (trace_id, span_id, value, at)
