"""What a metric is declared as: a counter, a histogram, a gauge or an info, with its labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from streamix_telemetry.cells import CounterCell, HistogramCell

__all__ = ["Counted", "Counter", "Gauge", "Histogram", "Info", "Merge", "Metric", "Owner", "Sample"]

Owner = Literal["consumer", "event", "publisher", "operator"]
"""Whose start puts a series on the page: of a consumer, of each of its events, of a publisher, or of
an operator's client."""
Merge = Literal["sum", "max", "min"]
_Cell = TypeVar("_Cell")


class Sample(NamedTuple):
    """What a metric reads at this moment, with the values of its labels."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric. There is one object for each, and no other is equal to it.

    Attributes:
        name: As on the page.
        labels: Names of its labels.
        help: What it means; the page shows it.
        merge: How the values that several consumers of one process show become one.
        backlog: Read from Redis when the page is read, and not from this process.
        optional: Only exported when it was asked for.
        kind: ``counter``, ``gauge``, ``histogram`` or ``info``.
    """

    name: str
    labels: tuple[str, ...]
    help: str
    merge: Merge = "sum"
    backlog: bool = False
    optional: bool = False
    kind: ClassVar[str]

    def values_of(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """The values of ``labels`` in the order of its own.

        Raises:
            ValueError: one is missing, or there is none of that name.
        """
        if set(labels) != set(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")
        return tuple(labels[label] for label in self.labels)

    def sample(self, value: float, **labels: str) -> Sample:
        """What it reads now. Raises `ValueError` if a label is missing or unknown."""
        return Sample(self, self.values_of(labels), value)


@dataclass(frozen=True, eq=False)
class Counted(Metric, ABC, Generic[_Cell]):
    """A metric that this process counts.

    Attributes:
        owner: Who puts its series on the page, at 0, when it starts; None: they begin with their
            first count.
        values: Those series, by the values of the last label; empty if the owner gives that, too.
    """

    owner: Owner | None = None
    values: tuple[str, ...] = ()

    @abstractmethod
    def cell(self) -> _Cell:
        """A new place to count in."""


@dataclass(frozen=True, eq=False)
class Counter(Counted[CounterCell]):
    """A number that only grows."""

    kind = "counter"

    def cell(self) -> CounterCell:
        """A counter at 0."""
        return CounterCell()


@dataclass(frozen=True, eq=False)
class Histogram(Counted[HistogramCell]):
    """Values by size; ``buckets`` are their upper bounds, without +Inf."""

    buckets: tuple[float, ...] = ()
    kind = "histogram"

    def cell(self) -> HistogramCell:
        """An empty one."""
        return HistogramCell(self.buckets)


@dataclass(frozen=True, eq=False)
class Gauge(Metric):
    """A number of this moment."""

    kind = "gauge"


@dataclass(frozen=True, eq=False)
class Info(Metric):
    """Text, as labels of a 1."""

    kind = "info"
