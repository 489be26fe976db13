"""What the repository holds for Prometheus and Grafana, as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ALERTS", "DASHBOARDS", "PROMETHEUS", "REPO", "RULES", "alerts", "dashboard", "panels", "rules"]

REPO = Path(__file__).resolve().parents[2]
PROMETHEUS = REPO / "telemetry" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARDS = {path.stem: path for path in sorted((REPO / "grafana" / "dashboards").glob("*.json"))}

Json = dict[str, Any]


def rules() -> list[Json]:
    """Every rule, recording and alerting."""
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, Json]:
    """Every alert by its name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


ALERTS = sorted(alerts())


def dashboard(name: str) -> Json:
    """A dashboard, as committed."""
    found: Json = json.loads(DASHBOARDS[name].read_text(encoding="utf-8"))
    return found


def panels(of: Json) -> list[Json]:
    """Its panels; a row is none."""
    return [panel for panel in of["panels"] if panel["type"] != "row"]
