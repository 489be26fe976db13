"""What a real Prometheus answers to the panels of a dashboard, for the page that draws them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.observability.live_queries import Target, targets
from tests.observability.prometheus_server import Prometheus

__all__ = ["answers"]

Json = dict[str, Any]


Chosen = Mapping[str, Sequence[str]]


def answers(prometheus: Prometheus, board: str, start: float, end: float, chosen: Chosen) -> Json:
    """Panel id → for each of its queries the series, and the exemplars.

    ``chosen`` are the values of the dashboard's variables; of one that it lacks, all.
    """
    start, end = math.floor(start), math.floor(end)
    found: Json = {}
    for target in targets():
        if target.board == board:
            found.setdefault(str(target.panel["id"]), []).append(
                _answer(prometheus, target, start, end, chosen)
            )
    return found


def _answer(prometheus: Prometheus, target: Target, start: int, end: int, chosen: Chosen) -> Json:
    expr, legend = target.expr(end - start, chosen), target.json["legendFormat"]
    if target.json["instant"]:
        series = [
            _series(legend, labels, [end], {end: values[0]}) for labels, values in prometheus.query(expr, end)
        ]
    else:
        query = {"query": expr, "start": str(start), "end": str(end), "step": "1"}
        series = [
            _series(
                legend,
                each["metric"],
                range(start, end + 1),
                {int(at): float(value) for at, value in each["values"]},
            )
            for each in prometheus.ask("query_range", query)["result"]
        ]
    if target.json["format"] == "heatmap":
        series = _bands(series)
    exemplars: list[Json] = []
    if target.json.get("exemplar"):
        asked = {"query": expr, "start": str(start), "end": str(end)}
        exemplars = [
            {"time": float(each["timestamp"]), "value": float(each["value"])}
            for one in prometheus.ask("query_exemplars", asked)
            for each in one["exemplars"]
        ]
    return {"legend": legend, "series": series, "exemplars": exemplars}


def _series(legend: str, labels: dict[str, str], times: Any, values: dict[int, float]) -> Json:
    """Gaps stay gaps: what was not there is no 0, and no line either."""
    shown = [values.get(time) for time in times]
    return {
        "name": re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), legend).strip(),
        "labels": {name: value for name, value in labels.items() if name != "__name__"},
        "times": [time * 1000 for time in times],
        "values": [value if value is not None and math.isfinite(value) else None for value in shown],
    }


def _bands(series: list[Json]) -> list[Json]:
    """Buckets count everything below a bound; a band counts what is between two."""
    ordered = sorted(series, key=lambda each: float(each["name"]))
    below: list[float] = [0.0] * len(ordered[0]["values"]) if ordered else []
    for each in ordered:
        upto = [value or 0.0 for value in each["values"]]
        each["values"] = [max(0.0, value - lower) for value, lower in zip(upto, below, strict=True)]
        below = upto
    return ordered
