"""What the code exports, for comparison with what documents, rules and dashboards speak of."""

from __future__ import annotations

import re

from streamix_queue.core.outcome import Reason
from streamix_telemetry.catalogue import BY_NAME, CATALOGUE, OUTCOMES
from streamix_telemetry.metric_kinds import Metric

__all__ = ["FROM_PROMETHEUS", "VALUES", "labels_of", "mentioned", "metric_of", "series_of"]

FROM_PROMETHEUS = frozenset({"job", "instance"})
"""Labels of every series, given by whoever scrapes."""

_SUFFIXES = ("_bucket", "_count", "_sum")

VALUES = {
    "outcome": set(OUTCOMES),
    "reason": set(Reason.ALL),
    "state": {"active", "stale", "busy", "idle", "stopped"},
}
"""All values of labels that have only a few."""


def metric_of(series: str) -> Metric | None:
    """The metric that a series belongs to."""
    for suffix in _SUFFIXES:
        base = BY_NAME.get(series.removesuffix(suffix))
        if series.endswith(suffix) and base is not None and base.kind == "histogram":
            return base
    metric = BY_NAME.get(series)
    return None if metric is None or metric.kind == "histogram" else metric


def labels_of(series: str) -> set[str]:
    """Its labels, as a query sees them."""
    metric = metric_of(series)
    assert metric is not None, series
    return {*metric.labels, *FROM_PROMETHEUS, *(["le"] if series.endswith("_bucket") else [])}


def series_of(metric: Metric) -> set[str]:
    """The names that a metric has on the page."""
    if metric.kind == "histogram":
        return {metric.name + suffix for suffix in _SUFFIXES}
    return {metric.name}


_NAMES = re.compile(r"(?<![\w./:-])streamix_[a-z0-9_]+(?![\w(]|\.py|\.[a-z]+)")
_PACKAGES = frozenset({"streamix_queue", "streamix_telemetry"})


def mentioned(text: str) -> set[str]:
    """Names in a text that look like metrics: with our prefix, and neither package nor path."""
    return {name for name in _NAMES.findall(text) if name not in _PACKAGES}


assert all(metric.name.startswith("streamix_") for metric in CATALOGUE)
