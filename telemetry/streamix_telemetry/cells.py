"""Where counts are kept: one store for each registry, read when its page is.

prometheus_client's own histogram takes a lock and scans its buckets for every value; here a
whole batch of settled messages is counted under one lock.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, chain

import redis
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from streamix_queue.__about__ import __version__
from streamix_telemetry.catalogue import BY_NAME, CATALOGUE, OTHER, Metric

__all__ = [
    "Counter",
    "Gauge",
    "GaugeSource",
    "Histogram",
    "Store",
    "family",
    "gauge_family",
    "store_for",
    "wall_offset",
]

_SORT_FROM = 16  # values; below this one search for each is quicker than sorting them
_MAX_ERROR_TYPES = 50
_MAX_LABEL = 200

Gauge = tuple[str, tuple[str, ...], float]
"""(name, label values, value)."""
GaugeSource = Callable[[], Iterable[Gauge]]


class Counter:
    """Written under the lock of its store."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0.0


class Histogram:
    """Written under the lock of its store."""

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
        """Make the trace the example of the bucket of ``value``, which was counted at ``at``."""
        self.exemplars[bisect_left(self.bounds, value)] = (trace_id, span_id, value, at)


class Store(Collector):
    """All cells and gauges of one registry. Who makes or writes a cell holds ``lock``."""

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._counters: dict[str, dict[tuple[str, ...], Counter]] = {}
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {}
        self._sources: list[GaugeSource] = []
        self._error_types: set[str] = {""}
        _stores.add(self)

    # --- cells ----------------------------------------------------------------------------------

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter with these label values; 0 from now on."""
        cells = self._counters.setdefault(name, {})
        cell = cells.get(labels)
        return cell if cell is not None else cells.setdefault(labels, Counter())

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram with these label values; empty from now on."""
        cells = self._histograms.setdefault(name, {})
        cell = cells.get(labels)
        return cell if cell is not None else cells.setdefault(labels, Histogram(BY_NAME[name].buckets))

    def error_type(self, name: str) -> str:
        """``name``, or ``_OTHER`` once there are too many: a label must not grow without end."""
        known = self._error_types
        if name in known:
            return name
        if len(known) > _MAX_ERROR_TYPES or len(name) > _MAX_LABEL:
            return OTHER
        known.add(name)
        return name

    def add_source(self, source: GaugeSource) -> None:
        """Ask ``source`` for gauges whenever the page is read."""
        self._sources.append(source)

    def remove_source(self, source: GaugeSource) -> None:
        """Ask it no more."""
        if source in self._sources:
            self._sources.remove(source)

    def forget_sources(self) -> None:
        """Ask none of them any more."""
        self._sources = []

    # --- the page -------------------------------------------------------------------------------

    def describe(self) -> Iterator[Family]:
        """The families without samples: registering asks nobody for anything."""
        for metric in CATALOGUE:
            if not metric.backlog:
                yield family(metric)

    def collect(self) -> Iterator[Family]:
        """The families in the order of the catalogue."""
        gauges = self._gauges()
        for metric in CATALOGUE:
            found: Family | None = None
            if metric.kind == "counter" and metric.name in self._counters:
                found = self._counter_family(metric)
            elif metric.kind == "histogram" and metric.name in self._histograms:
                found = self._histogram_family(metric)
            elif metric.kind == "gauge" and metric.name in gauges:
                found = gauge_family(metric, gauges[metric.name])
            elif metric.kind == "info":
                found = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, _build())
            if found is not None:
                yield found

    def _counter_family(self, metric: Metric) -> CounterMetricFamily:
        with self.lock:
            values = [(labels, cell.value) for labels, cell in self._counters[metric.name].items()]
        found = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in values:
            found.add_metric(labels, value)
        return found

    def _histogram_family(self, metric: Metric) -> HistogramMetricFamily:
        with self.lock:
            cells = [
                (labels, list(cell.counts), cell.total, dict(cell.exemplars))
                for labels, cell in self._histograms[metric.name].items()
            ]
        bounds = [*map(floatToGoString, metric.buckets), "+Inf"]
        found = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, counts, total, exemplars in cells:
            buckets = [
                (bound, float(count), _exemplar(exemplars[index]))
                if index in exemplars
                else (bound, float(count))
                for index, (bound, count) in enumerate(zip(bounds, accumulate(counts), strict=True))
            ]
            found.add_metric(labels, buckets, total)
        return found

    def _gauges(self) -> dict[str, dict[tuple[str, ...], float]]:
        merged: dict[str, dict[tuple[str, ...], float]] = {}
        for name, labels, value in chain.from_iterable(source() for source in tuple(self._sources)):
            values = merged.setdefault(name, {})
            if labels not in values:
                values[labels] = value
            else:
                values[labels] = _MERGE[BY_NAME[name].merge](values[labels], value)
        return merged


_MERGE: dict[str, Callable[[float, float], float]] = {
    "sum": lambda one, other: one + other,
    "max": max,
    "min": min,
}


def family(metric: Metric) -> Family:
    """An empty family for ``metric``."""
    if metric.kind == "info":
        return Family(metric.name.removesuffix("_info"), metric.help, "info")
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    if metric.kind == "histogram":
        return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def gauge_family(metric: Metric, values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    """A gauge with these values."""
    found = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        found.add_metric(labels, value)
    return found


def _exemplar(kept: tuple[str, str, float, float]) -> Exemplar:
    trace_id, span_id, value, at = kept
    return Exemplar({"trace_id": trace_id, "span_id": span_id}, value, at)


def _build() -> dict[str, str]:
    return {"version": __version__, "python": platform.python_version(), "redis_py": redis.__version__}


# --- one store for each registry -----------------------------------------------------------------

_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_by_registry: weakref.WeakKeyDictionary[CollectorRegistry, Store] = weakref.WeakKeyDictionary()
_lock = threading.Lock()  # guards the two above


def store_for(registry: CollectorRegistry = REGISTRY) -> Store:
    """The store of ``registry``, made and registered at the first call."""
    with _lock:
        store = _by_registry.get(registry)
        if store is None:
            store = Store()
            registry.register(store)
            _by_registry[registry] = store
        return store


def _forked() -> None:
    # A lock that another thread held at the fork stays locked for ever in the child, and the
    # consumers whose gauges these are run in the parent.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    for store in list(_stores):
        store.lock = threading.Lock()
        store.forget_sources()


os.register_at_fork(after_in_child=_forked)


def wall_offset() -> float:
    """What to add to ``time.perf_counter()`` for the time of day, in seconds."""
    return time.time() - time.perf_counter()
