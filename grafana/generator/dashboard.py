"""A dashboard: its variables, links and annotations, and rows of panels laid out in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana.generator.panels import DATASOURCE, Json, Panel

__all__ = ["Dashboard", "Row"]

_COLUMNS = 24
_TAG = "streamix"


@dataclass(frozen=True)
class Row:
    """Panels that answer one question, which is the row's title."""

    question: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard, to become JSON."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]

    def json(self) -> Json:
        """In the classic model: the one that every Grafana version imports."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [_TAG],
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "30s",
            "schemaVersion": 39,
            "time": {"from": "now-1h", "to": "now"},
            "timepicker": {},
            "fiscalYearStartMonth": 0,
            "annotations": {"list": [_ALERTS]},
            "links": [_LINKS],
            "templating": {"list": [_DATASOURCE_VARIABLE, *map(_variable, _VARIABLES)]},
            "panels": _laid_out(self.rows),
        }


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    """From left to right, and on the next line what does not fit."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        placed.append({"type": "row", "title": row.question, "collapsed": False, "panels": []})
        _place(placed[-1], 0, top, _COLUMNS, 1, len(placed))
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            placed.append(dict(panel.json))
            _place(placed[-1], left, top, panel.width, panel.height, len(placed))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return placed


def _place(panel: Json, x: int, y: int, w: int, h: int, number: int) -> None:
    panel |= {"id": number, "gridPos": {"x": x, "y": y, "w": w, "h": h}}


_VARIABLES = {
    "job": "label_values(streamix_build_info, job)",
    "instance": 'label_values(streamix_build_info{job=~"$job"}, instance)',
    "stream": 'label_values({__name__=~"streamix_stream_length_messages|streamix_published_messages_total", '
    'job=~"$job"}, stream)',
    "group": 'label_values(streamix_group_lag_known{job=~"$job", stream=~"$stream"}, group)',
}

_DATASOURCE_VARIABLE: Json = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "hide": 0,
    "refresh": 1,
    "multi": False,
    "includeAll": False,
    "regex": "",
    "options": [],
}


def _variable(name: str) -> Json:
    query = _VARIABLES[name]
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": f"{name}-values"},
        "refresh": 2,  # when the time range changes: what is gone is not to be chosen
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "regex": "",
        "options": [],
    }


# An alert of another stream or group is left out; one that has no such label is everybody's.
_ALERTS: dict[str, Any] = {
    "name": "Alerts",
    "datasource": DATASOURCE,
    "enable": True,
    "hide": False,
    "iconColor": "red",
    "expr": 'ALERTS{alertname=~"Streamix.+", alertstate="firing", stream=~"$stream|", group=~"$group|"}',
}

_LINKS: Json = {
    "title": "Streamix",
    "type": "dashboards",
    "tags": [_TAG],
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
    "icon": "external link",
    "tooltip": "",
    "url": "",
}
