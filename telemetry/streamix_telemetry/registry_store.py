"""Where counts are kept: one store for each registry, read when its page is."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, chain
from typing import Any, Final, TypeVar

import redis
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from streamix_queue.__about__ import __version__
from streamix_telemetry.catalogue import CATALOGUE, OTHER
from streamix_telemetry.metric_kinds import Counted, Counter, Histogram, Info, Metric, Owner, Sample
from streamix_telemetry.per_registry import PerRegistry, RegistryCollector

__all__ = ["GaugeSource", "OwnCells", "Store", "family", "store_for"]

_MAX_ERROR_TYPES = 50
_MAX_LABEL = 200

GaugeSource = Callable[[], Iterable[Sample]]
_Cell = TypeVar("_Cell")


class Store(RegistryCollector):
    """All cells and gauges of one registry. Who makes or writes a cell holds ``lock``."""

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._cells: dict[Metric, dict[tuple[str, ...], Any]] = {}
        self._sources: list[GaugeSource] = []
        self._error_types: set[str] = {""}

    # --- cells ----------------------------------------------------------------------------------

    def cell(self, metric: Counted[_Cell], labels: tuple[str, ...]) -> _Cell:
        """The cell of ``metric`` with these values of its labels; on the page from now on, at 0.

        Raises:
            ValueError: the metric has another number of labels.
        """
        try:
            cell: _Cell = self._cells[metric][labels]
        except KeyError:
            if len(labels) != len(metric.labels):
                raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}") from None
            cell = self._cells.setdefault(metric, {})[labels] = metric.cell()
        return cell

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

    def begin_anew(self) -> None:
        """In a child after a fork: it counts on, and the gauges of the parent's consumers are gone."""
        self.lock = threading.Lock()
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
            if isinstance(metric, Info):
                yield InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, _build())
            elif metric in gauges:
                yield family(metric, gauges[metric])
            elif metric in self._cells:
                yield self._counted(metric)

    def _counted(self, metric: Metric) -> Family:
        if isinstance(metric, Histogram):
            return self._histogram_family(metric)
        with self.lock:
            values = {labels: cell.value for labels, cell in self._cells[metric].items()}
        return family(metric, values)

    def _histogram_family(self, metric: Histogram) -> HistogramMetricFamily:
        with self.lock:
            cells = [
                (labels, list(cell.counts), cell.total, dict(cell.exemplars))
                for labels, cell in self._cells[metric].items()
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

    def _gauges(self) -> dict[Metric, dict[tuple[str, ...], float]]:
        merged: dict[Metric, dict[tuple[str, ...], float]] = {}
        for metric, labels, value in chain.from_iterable(source() for source in tuple(self._sources)):
            values = merged.setdefault(metric, {})
            if labels not in values:
                values[labels] = value
            else:
                values[labels] = _MERGE[metric.merge](values[labels], value)
        return merged


_MERGE: dict[str, Callable[[float, float], float]] = {
    "sum": lambda one, other: one + other,
    "max": max,
    "min": min,
}


class OwnCells:
    """The cells of one consumer, publisher or operator, whose own labels are given once.

    Args:
        store: Where they are kept; who calls `at` or `start` holds its lock.
        own: The labels that are always the same; a metric takes those of them that it has.
    """

    def __init__(self, store: Store, **own: str) -> None:
        self.store: Store = store
        self._own = own
        self._found: dict[tuple[object, ...], Any] = {}

    def at(self, metric: Counted[_Cell], /, **labels: str) -> _Cell:
        """The cell of ``metric`` with these other labels.

        Raises:
            ValueError: a label is missing, or there is none of that name.
        """
        key = (metric, *labels.items())
        cell: _Cell | None = self._found.get(key)
        if cell is None:
            own = {label: value for label, value in self._own.items() if label in metric.labels}
            cell = self._found[key] = self.store.cell(metric, metric.values_of({**own, **labels}))
        return cell

    def add(self, metric: Counter, by: float = 1, /, **labels: str) -> None:
        """Count ``by`` more, under the lock of the store. Raises as `at` does."""
        with self.store.lock:
            self.at(metric, **labels).value += by

    def start(self, owner: Owner, **labels: str) -> None:
        """Put all that is declared to begin with ``owner`` on the page, at 0.

        ``increase()`` does not see that a series begins: what was not there at 0 is not seen to
        happen for the first time.
        """
        for metric in CATALOGUE:
            if not isinstance(metric, Counted) or metric.owner != owner:
                continue
            for value in metric.values:
                self.at(metric, **labels, **{metric.labels[-1]: value})
            if not metric.values:
                self.at(metric, **labels)


def family(metric: Metric, values: Mapping[tuple[str, ...], float] | None = None) -> Family:
    """What the page says of ``metric``; without ``values`` no more than that there is one."""
    if isinstance(metric, Info):
        return Family(metric.name.removesuffix("_info"), metric.help, "info")
    if isinstance(metric, Histogram):
        return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    kind = CounterMetricFamily if isinstance(metric, Counter) else GaugeMetricFamily
    found: CounterMetricFamily | GaugeMetricFamily = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in (values or {}).items():
        found.add_metric(labels, value)
    return found


def _exemplar(kept: tuple[str, str, float, float]) -> Exemplar:
    trace_id, span_id, value, at = kept
    return Exemplar({"trace_id": trace_id, "span_id": span_id}, value, at)


def _build() -> dict[str, str]:
    return {"version": __version__, "python": platform.python_version(), "redis_py": redis.__version__}


store_for: Final = PerRegistry(Store)
