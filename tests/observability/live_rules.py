"""The committed rules for a test that has a minute: time runs sixty times as fast.

Nothing is written twice: the rules are read from the files that are shipped, and

* every range and every ``for`` is divided by sixty (never below three scrapes): ``[15m]`` becomes
  ``[15s]``, ``for: 5m`` becomes ``5s``;
* limits on ages are given in `LIMITS`, since what is normal does not shrink with them: a consumer
  without work reads every two seconds, whatever the rules say. Each has to be in its rule once.

Shares and counts stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

from tests.observability.repository import RULES

__all__ = ["LIMITS", "live_rules", "sixty_times_faster"]

FASTER = 60
_AT_LEAST_S = 3

LIMITS = {
    "StreamixOldestMessageTooOld": ("> 60", "> 4"),
    "StreamixStuckPending": ("> 300", "> 5"),
    "StreamixRetentionRisk": ("> 600", "> 10"),
    "StreamixRetriesOverdue": ("> 60", "> 3"),
    "StreamixHandlerStuck": ("> 600", "> 10"),
    "StreamixPollStalled": ("> 60", "> 5"),
}


def live_rules(folder: Path) -> list[Path]:
    """Write them, one file for each that is shipped."""
    written = []
    for path in RULES:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in content["groups"]:
            group["interval"] = "1s"
            group["rules"] = [sixty_times_faster(rule) for rule in group["rules"]]
        target = folder / path.name
        target.write_text(yaml.safe_dump(content), encoding="utf-8")
        written.append(target)
    return written


def sixty_times_faster(rule: dict[str, Any]) -> dict[str, Any]:
    """``rule`` for a world in which a minute lasts a second."""
    faster = {**rule, "expr": re.sub(r"\[(\w+)\]", lambda range_: f"[{_shorter(range_[1])}]", rule["expr"])}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            faster[key] = _shorter(rule[key])
    if (limit := LIMITS.get(rule.get("alert", ""))) is not None:
        committed, live = limit
        assert faster["expr"].count(committed) == 1, f"{rule['alert']} has no limit {committed!r}"
        faster["expr"] = faster["expr"].replace(committed, live)
    return faster


def _shorter(duration: str) -> str:
    seconds: float = promql.parse_duration(duration).total_seconds() / FASTER
    return f"{max(_AT_LEAST_S, round(seconds))}s"
