"""Asks a Prometheus what Grafana would ask it for a dashboard."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.observability.prometheus_server import Prometheus, Sample
from tests.observability.repository import DASHBOARDS, dashboard, panels

__all__ = ["Target", "label_values", "targets"]

_RATE_INTERVAL = "4s"  # Grafana's own choice for a scrape interval of 1 s
_EVERYTHING = ".+"
_VARIABLE = re.compile(r"\$(job|instance|stream|group)\b")

Json = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One query of one panel."""

    board: str
    panel: Json
    json: Json

    @property
    def name(self) -> str:
        """Says where it is."""
        return f"{self.board}: {self.panel['title']} {self.json['refId']}"

    def expr(self, span_s: float, chosen: Mapping[str, Sequence[str]] | None = None) -> str:
        """Its PromQL, with values chosen in the variables; everything in those that are not given."""
        expr = self.json["expr"].replace("$__rate_interval", _RATE_INTERVAL)
        expr = expr.replace("$__range", f"{math.ceil(span_s)}s")
        values = {name: "|".join(each) for name, each in (chosen or {}).items()}
        return _VARIABLE.sub(lambda variable: values.get(variable[1], _EVERYTHING), expr)

    def ask(self, prometheus: Prometheus, start: float, end: float) -> list[Sample]:
        """The series that the panel would show."""
        expr = self.expr(end - start)
        if self.json["instant"]:
            return prometheus.query(expr, end)
        return prometheus.query_range(expr, start, end)


def targets() -> Iterator[Target]:
    """All of them."""
    for name in DASHBOARDS:
        for panel in panels(dashboard(name)):
            for target in panel["targets"]:
                yield Target(name, panel, target)


def label_values(prometheus: Prometheus, query: str) -> list[str]:
    """What Grafana's ``label_values()`` offers, everything being chosen in other variables."""
    match = re.fullmatch(r"label_values\((.+), *(\w+)\)", query)
    assert match is not None, query
    selector = _VARIABLE.sub(_EVERYTHING, match[1])
    found: list[str] = prometheus.ask(f"label/{match[2]}/values", {"match[]": selector})
    return found
