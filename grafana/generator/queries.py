"""PromQL, made from the catalogue of metrics: a wrong name or label is an error here."""

from __future__ import annotations

from collections.abc import Iterable

from streamix_telemetry.catalogue import BY_NAME
from streamix_telemetry.metric_kinds import Metric

__all__ = ["RATE", "increase", "latest", "mean", "quantile", "rate", "selector"]

# The labels that a variable of the dashboard narrows. job and instance are Prometheus' own.
_VARIABLES = ("stream", "group")
_SUFFIXES = ("_bucket", "_count", "_sum")
RATE = "$__rate_interval"
RANGE = "$__range"


def selector(name: str, **matchers: str) -> str:
    """The series of a metric that the dashboard's variables select.

    Args:
        name: Without the prefix ``streamix_``; of a histogram with its suffix.
        matchers: Label → value; a value that begins with ``~`` or ``!`` says how to match.
    """
    labels = _metric(name).labels
    parts = ['job=~"$job"', 'instance=~"$instance"']
    parts += [f'{label}=~"${label}"' for label in _VARIABLES if label in labels]
    for label, value in matchers.items():
        if label not in labels and not (label == "le" and name.endswith("_bucket")):
            raise ValueError(f"streamix_{name} has no label {label!r}, but {labels}")
        parts.append(_matcher(label, value))
    return f"streamix_{name}{{{', '.join(parts)}}}"


def _matcher(label: str, value: str) -> str:
    if value.startswith("~"):
        return f'{label}=~"{value[1:]}"'
    if value.startswith("!"):
        return f'{label}!="{value[1:]}"'
    return f'{label}="{value}"'


def _metric(name: str) -> Metric:
    full = f"streamix_{name}"
    for suffix in _SUFFIXES:
        base = BY_NAME.get(full.removesuffix(suffix))
        if full.endswith(suffix) and base is not None and base.kind == "histogram":
            return base
    return BY_NAME[full]


def latest(name: str, *by: str, how: str = "max", **matchers: str) -> str:
    """A gauge now. Several processes may report the same backlog: one of the copies."""
    return _aggregate(how, by, selector(name, **matchers))


def rate(name: str, *by: str, **matchers: str) -> str:
    """Per second."""
    return _aggregate("sum", by, f"rate({selector(name, **matchers)}[{RATE}])")


def increase(name: str, *by: str, over: str = RANGE, **matchers: str) -> str:
    """How many within the range of the dashboard, or ``over`` another time."""
    return _aggregate("sum", by, f"increase({selector(name, **matchers)}[{over}])")


def quantile(share: float, histogram: str, *by: str, **matchers: str) -> str:
    """Of a histogram, named without ``_bucket``."""
    buckets = rate(f"{histogram}_bucket", "le", *by, **matchers)
    return f"histogram_quantile({share:g}, {buckets})"


def mean(histogram: str, *by: str, **matchers: str) -> str:
    """Of a histogram."""
    total, count = (rate(f"{histogram}_{part}", *by, **matchers) for part in ("sum", "count"))
    return f"{total} / {count}"


def _aggregate(how: str, by: Iterable[str], inner: str) -> str:
    labels = ", ".join(by)
    return f"{how} by ({labels}) ({inner})" if labels else f"{how}({inner})"
