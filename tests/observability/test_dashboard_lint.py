"""The dashboards keep the rules of Grafana's linter, and each rule can be broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.observability.dashboard_lint import RULES, lint
from tests.observability.repository import DASHBOARDS, dashboard

Json = dict[str, Any]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_dashboard_keeps_every_rule(name: str) -> None:
    assert lint(dashboard(name)) == []


def _variable(board: Json, name: str) -> Json:
    return next(found for found in board["templating"]["list"] if found["name"] == name)


def _stat(board: Json) -> Json:
    return next(found for found in board["panels"] if found["type"] == "stat")


def _ask(board: Json, expr: str) -> None:
    _stat(board)["targets"][0]["expr"] = expr


def _unread(board: Json) -> None:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            target["expr"] = target["expr"].replace(', group=~"$group"', "")


SELECTED = '{job=~"$job", instance=~"$instance"}'
BREAKS: dict[str, Callable[[Json], object]] = {
    "template_datasource_rule": lambda board: _variable(board, "datasource").update(label="Prometheus"),
    "template_job_rule": lambda board: _variable(board, "job").update(multi=False),
    "template_instance_rule": lambda board: _variable(board, "instance").update(allValue=".*"),
    "template_label_promql_rule": lambda board: _variable(board, "group")["query"].update(query="values(x)"),
    "template_on_time_change_reload_rule": lambda board: _variable(board, "stream").update(refresh=1),
    "template_unused_rule": _unread,
    "panel_datasource_rule": lambda board: _stat(board).update(datasource={"uid": "prom-1"}),
    "panel_title_description_rule": lambda board: _stat(board).update(description=""),
    "panel_units_rule": lambda board: _stat(board)["fieldConfig"]["defaults"].update(unit="sekunde"),
    "panel_no_targets_rule": lambda board: _stat(board).update(targets=[]),
    "target_promql_rule": lambda board: _ask(board, f"max(streamix_redis_connected{SELECTED}"),
    "target_rate_interval_rule": lambda board: _ask(board, f"rate(streamix_polls_total{SELECTED}[5m])"),
    "target_job_rule": lambda board: _ask(board, 'max(streamix_redis_connected{instance=~"$instance"})'),
    "target_instance_rule": lambda board: _ask(board, 'max(streamix_redis_connected{job=~"$job"})'),
    "target_counter_agg_rule": lambda board: _ask(board, f"sum(streamix_polls_total{SELECTED})"),
    "target_histogram_rule": lambda board: _ask(
        board, f"sum(rate(streamix_queue_time_seconds_bucket{SELECTED}[$__rate_interval]))"
    ),
    "uneditable_dashboard_rule": lambda board: board.update(editable=True),
    "refresh_rule": lambda board: board.update(refresh="1s"),
    "legend_rule": lambda board: _stat(board)["targets"][0].update(legendFormat=""),
    "layout_rule": lambda board: _stat(board)["gridPos"].update(x=2),
    "row_rule": lambda board: board["panels"][0].update(title="Health"),
    "uid_rule": lambda board: board.update(id=17),
}


def test_every_rule_is_broken_below() -> None:
    assert set(BREAKS) == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize("rule", BREAKS)
def test_the_rule_notices(rule: str) -> None:
    board = dashboard("overview")
    BREAKS[rule](board)

    assert rule in {problem.partition(":")[0] for problem in lint(board)}
