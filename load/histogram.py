"""A histogram of times with a fixed relative error: percentiles in bounded memory.

The ``hdrhistogram`` wheel does the same, but brings setuptools and pbr along; this is all we need
of it. Only the standard library: peers import it in environments of their own.
"""

from __future__ import annotations

import math
from typing import Any

_BITS = 8  # 256 linear steps in each octave: a value is off by 0.4 % at most


class Histogram:
    """Times from a microsecond to hours. Not thread-safe."""

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._sum_s = 0.0
        self._buckets: dict[int, int] = {}

    def record(self, seconds: float) -> None:
        """Count one; a negative time, which two clocks can give, as 0."""
        seconds = max(seconds, 0.0)
        self.count += 1
        self._sum_s += seconds
        self.max_s = max(self.max_s, seconds)
        bucket = _bucket(int(seconds * 1e9))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def add(self, other: Histogram) -> None:
        """Count all of ``other`` as well."""
        self.count += other.count
        self._sum_s += other._sum_s
        self.max_s = max(self.max_s, other.max_s)
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def percentile(self, percent: float) -> float:
        """The time (s) within which ``percent`` of all lie; NaN if there are none."""
        if not self.count:
            return math.nan
        if percent >= 100:
            return self.max_s
        wanted = max(1, math.ceil(self.count * percent / 100))
        so_far = 0
        for bucket in sorted(self._buckets):
            so_far += self._buckets[bucket]
            if so_far >= wanted:
                return min(_upper_ns(bucket) / 1e9, self.max_s)
        return self.max_s

    @property
    def mean_s(self) -> float:
        """Mean (s); NaN if there are none."""
        return self._sum_s / self.count if self.count else math.nan

    def summary_ms(self) -> dict[str, float]:
        """The usual percentiles in milliseconds; of none if there are none."""
        if not self.count:
            return {}
        named = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "max": 100}
        return {name: self.percentile(percent) * 1e3 for name, percent in named.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "max_s": self.max_s,
            "sum_s": self._sum_s,
            "buckets": sorted(self._buckets.items()),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Histogram:
        histogram = cls()
        histogram.count, histogram.max_s = value["count"], value["max_s"]
        histogram._sum_s = value["sum_s"]
        histogram._buckets = {int(bucket): count for bucket, count in value["buckets"]}
        return histogram


def _bucket(nanoseconds: int) -> int:
    """Below 2⁸ the value itself; above, its octave and the next 8 bits."""
    shift = max(0, nanoseconds.bit_length() - _BITS - 1)
    return (shift << (_BITS + 1)) + (nanoseconds >> shift)


def _upper_ns(bucket: int) -> int:
    """The largest value in a bucket, so that no percentile is flattered."""
    shift, mantissa = bucket >> (_BITS + 1), bucket & ((1 << (_BITS + 1)) - 1)
    return ((mantissa + 1) << shift) - 1
