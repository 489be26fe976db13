"""What two looks at the metrics pages of consumers say: rates, percentiles, workers. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from streamix_queue.cli.top.pages import DURATION, PROCESSED, RESTARTS, WORKERS, Page, Series, Values

__all__ = ["changes", "handlers", "quantile", "runtime"]

_WELL = frozenset({"ack", "drop"})
_ILL = frozenset({"retry", "dead_letter"})


def changes(before: Values, after: Values) -> Values:
    """How much each count grew. One that went back was reset by a restart, so all of it counts."""
    return {
        series: value - before.get(series, 0.0) if value >= before.get(series, 0.0) else value
        for series, value in after.items()
    }


def quantile(q: float, buckets: Iterable[tuple[float, float]]) -> float | None:
    """The value below which a part ``q`` of the observations is, as ``histogram_quantile`` computes it.

    Args:
        q: 0 to 1.
        buckets: (upper bound, observations up to it), in any order; the last bound is infinite.

    Returns:
        A value interpolated within its bucket; the highest finite bound if it is above all of them;
        None without observations.
    """
    ordered = sorted(buckets)
    if len(ordered) < 2 or not math.isinf(ordered[-1][0]) or ordered[-1][1] <= 0:
        return None
    rank = q * ordered[-1][1]
    lower, below = 0.0, 0.0
    for upper, up_to in ordered:
        if up_to >= rank and up_to > 0:
            if math.isinf(upper):
                return lower
            if upper <= 0 or up_to <= below:
                return upper
            return lower + (upper - lower) * max(0.0, rank - below) / (up_to - below)
        lower, below = upper, max(below, up_to)
    return lower


def handlers(
    stream: str, group: str | None, pages: Sequence[tuple[Page | None, Page]]
) -> list[dict[str, Any]]:
    """Per group and event: handled and failed per second, and how long the handler took, in seconds.

    Args:
        stream: Of this stream.
        group: Of this group; of all if None.
        pages: Two looks at each page; without a first one the rates of a page are not known.
    """
    rates: dict[tuple[str, str], dict[str, float]] = {}
    times: dict[tuple[str, str], dict[float, float]] = {}
    for before, after in pages:
        elapsed_s = 0.0 if before is None else after.at_s - before.at_s
        grown = changes(before.values, after.values) if before is not None and elapsed_s > 0 else {}
        for series in after.values:
            if not _of(series, stream, group) or series.name not in (PROCESSED, DURATION):
                continue
            key = (series.label("group"), series.label("event"))
            rate = rates.setdefault(key, {})
            if series not in grown:
                continue
            if series.name == PROCESSED:
                rate.setdefault("handled", 0.0)
                rate.setdefault("failed", 0.0)
                if (outcome := series.label("outcome")) in _WELL:
                    rate["handled"] += grown[series] / elapsed_s
                elif outcome in _ILL:
                    rate["failed"] += grown[series] / elapsed_s
            else:
                bound = _bound(series.label("le"))
                if bound is not None:
                    sums = times.setdefault(key, {})
                    sums[bound] = sums.get(bound, 0.0) + grown[series]
    return [
        {
            "group": key[0],
            "event": key[1],
            "handled_per_s": rate.get("handled"),
            "failed_per_s": rate.get("failed"),
            "p50_s": quantile(0.5, times.get(key, {}).items()),
            "p99_s": quantile(0.99, times.get(key, {}).items()),
        }
        for key, rate in sorted(rates.items())
    ]


def runtime(group: str | None, pages: Sequence[tuple[Page | None, Page]]) -> list[dict[str, Any]]:
    """Per group: worker threads busy, idle and stopped, and how often an actor was restarted."""
    found: dict[str, dict[str, int]] = {}
    for _, page in pages:
        for series, value in page.values.items():
            name = series.label("group")
            if series.name not in (WORKERS, RESTARTS) or (group is not None and name != group):
                continue
            counts = found.setdefault(name, {"busy": 0, "idle": 0, "stopped": 0, "restarts": 0})
            what = "restarts" if series.name == RESTARTS else series.label("state")
            if what in counts:
                counts[what] += round(value)
    return [{"group": name, **counts} for name, counts in sorted(found.items())]


def _of(series: Series, stream: str, group: str | None) -> bool:
    return series.label("stream") == stream and group in (None, series.label("group"))


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound
