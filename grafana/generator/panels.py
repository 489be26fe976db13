"""Panels of the classic dashboard model, which every Grafana imports.

What belongs to a panel stands at the panel: its question as the title, what to make of the answer
as the description, and the alert's limit as its threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["DATASOURCE", "Column", "Panel", "Query", "heatmap", "limits", "stat", "table", "timeseries"]

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL.
        legend: Name of each series, with ``{{label}}`` for its labels.
        exemplars: Show traces as dots; the expression has to be one on a histogram's buckets.
    """

    expr: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel without its place: that is the layout's."""

    width: int
    height: int
    json: Json


def limits(*steps: tuple[float | None, str]) -> Json:
    """Thresholds: from each value on its colour; None stands for the lowest."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


_PLAIN = limits((None, "green"))


def _panel(kind: str, title: str, description: str, width: int, height: int, **more: Any) -> Panel:
    json = {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, **more}
    return Panel(width, height, json)


def _targets(queries: Sequence[Query], *, kind: str = "time_series", instant: bool = False) -> list[Json]:
    found: list[Json] = []
    for number, query in enumerate(queries):
        target: Json = {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "range": not instant,
            "instant": instant,
            "format": kind,
        }
        if query.exemplars:
            target["exemplar"] = True
        found.append(target)
    return found


def timeseries(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    top: float | None = None,
    below_zero: bool = False,
    thresholds: Json | None = None,
) -> Panel:
    """Lines, or stacked areas. ``thresholds`` are drawn where an alert would fire."""
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 8,
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if thresholds is None else "dashed"},
    }
    defaults: Json = {"unit": unit, "custom": custom, "thresholds": thresholds or _PLAIN}
    if not below_zero:
        defaults["min"] = 0
    if top is not None:
        defaults["max"] = top
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel(
        "timeseries",
        title,
        description,
        width,
        height,
        fieldConfig={"defaults": defaults, "overrides": []},
        options=options,
        targets=_targets(queries),
    )


def stat(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    width: int = 3,
    height: int = 5,
    thresholds: Json | None = None,
    words: Mapping[float, tuple[str, str]] | None = None,
    spark: bool = False,
    decimals: int | None = None,
) -> Panel:
    """One number; ``words`` show values as (text, colour), ``spark`` draws its past behind it."""
    defaults: Json = {"unit": unit, "thresholds": thresholds or _PLAIN}
    if decimals is not None:
        defaults["decimals"] = decimals
    if words is not None:
        shown = {f"{value:g}": {"text": text, "color": color} for value, (text, color) in words.items()}
        defaults["mappings"] = [{"type": "value", "options": shown}]
    options = {
        "graphMode": "area" if spark else "none",
        "colorMode": "value",
        "justifyMode": "center",
        "textMode": "value",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _panel(
        "stat",
        title,
        description,
        width,
        height,
        fieldConfig={"defaults": defaults, "overrides": []},
        options=options,
        targets=_targets([query], instant=not spark),
    )


def heatmap(
    title: str, description: str, query: Query, *, unit: str, width: int = 8, height: int = 8
) -> Panel:
    """How the values of a histogram are spread, over time."""
    scale = {"type": "linear"}
    hidden = {"legend": False, "tooltip": False, "viz": False}
    options: Json = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-orange",
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "yAxis": {"unit": unit, "axisPlacement": "left", "reverse": False},
    }
    return _panel(
        "heatmap",
        title,
        description,
        width,
        height,
        fieldConfig={
            "defaults": {"custom": {"scaleDistribution": scale, "hideFrom": hidden}},
            "overrides": [],
        },
        options=options,
        targets=_targets([query], kind="heatmap"),
    )


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, unit (``locale`` for a count) and, if it has one, its limit."""

    name: str
    unit: str
    thresholds: Json | None = None


def table(
    title: str,
    description: str,
    labels: Mapping[str, str],
    columns: Sequence[tuple[Column, str]],
    *,
    sort: str | None = None,
    width: int = 24,
    height: int = 8,
) -> Panel:
    """One row for each set of ``labels`` (name → heading); a column for each query.

    ``sort`` names the column whose largest values come first.
    """
    queries = [Query(expr, column.name) for column, expr in columns]
    names = {f"Value #{chr(ord('A') + n)}" if len(columns) > 1 else "Value": n for n in range(len(columns))}
    renamed = {value: columns[n][0].name for value, n in names.items()} | dict(labels)
    order = {name: n for n, name in enumerate([*labels, *names])}
    overrides = [_override(column) for column, _ in columns]
    options: Json = {"showHeader": True, "cellHeight": "sm"}
    if sort is not None:
        options["sortBy"] = [{"displayName": sort, "desc": True}]
    return _panel(
        "table",
        title,
        description,
        width,
        height,
        fieldConfig={
            "defaults": {"unit": "short", "thresholds": _PLAIN, "custom": {"align": "auto"}},
            "overrides": overrides,
        },
        options=options,
        targets=_targets(queries, kind="table", instant=True),
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "indexByName": order,
                    "renameByName": renamed,
                },
            },
        ],
    )


def _override(column: Column) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.unit == "locale":
        properties.append({"id": "decimals", "value": 0})  # a count; increase() makes fractions of it
    if column.thresholds is not None:
        properties += [
            {"id": "thresholds", "value": column.thresholds},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}
