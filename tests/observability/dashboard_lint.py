"""The rules of Grafana's dashboard-linter, for its classic model, and a few of our own.

Its rule names are kept, so that its documentation explains them. Each rule yields a sentence for
each thing that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser as promql

from tests.observability.promql import calls, parse, uses, with_grafana_variables
from tests.observability.repository import panels

__all__ = ["RULES", "lint"]

Json = dict[str, Any]
Rule = Callable[[Json], Iterator[str]]

UNITS = frozenset(
    {"short", "none", "locale", "s", "ms", "bytes", "percentunit", "percent", "ops", "mps", "bool_yes_no"}
)
_TEMPLATED = ("$datasource", "${datasource}")
_RATES = ("rate", "irate", "increase")


def _variables(board: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def _targets(board: Json) -> Iterator[tuple[str, Json]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target


def _trees(board: Json) -> Iterator[tuple[str, Any]]:
    for title, target in _targets(board):
        try:
            yield title, parse(target["expr"])
        except ValueError:
            continue  # target-promql-rule tells


# --- template rules ------------------------------------------------------------------------------


def template_datasource_rule(board: Json) -> Iterator[str]:
    found = [variable for variable in _variables(board).values() if variable["type"] == "datasource"]
    if [(variable["name"], variable["label"]) for variable in found] != [("datasource", "Data source")]:
        yield "no single variable 'datasource', labelled 'Data source'"


def _multi_select(board: Json, name: str) -> Iterator[str]:
    variable = _variables(board).get(name)
    if variable is None:
        yield f"no variable {name!r}"
        return
    wanted = {"type": "query", "label": name.capitalize(), "multi": True, "allValue": ".+"}
    for key, value in wanted.items():
        if variable[key] != value:
            yield f"variable {name}: {key} is {variable[key]!r} and not {value!r}"
    if variable["datasource"]["uid"] not in _TEMPLATED:
        yield f"variable {name} does not use the templated data source"


def template_job_rule(board: Json) -> Iterator[str]:
    yield from _multi_select(board, "job")


def template_instance_rule(board: Json) -> Iterator[str]:
    yield from _multi_select(board, "instance")


def template_label_promql_rule(board: Json) -> Iterator[str]:
    for name, variable in _variables(board).items():
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.+), *([a-z_]+)\)", variable["query"]["query"], re.DOTALL)
        try:
            assert match is not None
            parse(match[1])
        except (AssertionError, ValueError):
            yield f"variable {name}: {variable['query']['query']} is no label_values() of a selector"


def template_on_time_change_reload_rule(board: Json) -> Iterator[str]:
    for name, variable in _variables(board).items():
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"variable {name} is not read again when the time range changes"


# --- panel rules ---------------------------------------------------------------------------------


def panel_datasource_rule(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["datasource"]["uid"] not in _TEMPLATED:
            yield f"panel {panel['title']}: does not use the templated data source"


def panel_title_description_rule(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel.get('title')!r} lacks a title or a description"


def panel_units_rule(board: Json) -> Iterator[str]:
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        unit = panel["options"]["yAxis"]["unit"] if panel["type"] == "heatmap" else defaults.get("unit")
        overridden = [
            each["value"]
            for override in panel["fieldConfig"]["overrides"]
            for each in override["properties"]
            if each["id"] == "unit"
        ]
        if not {unit, *overridden} <= UNITS:
            yield f"panel {panel['title']}: unit {unit!r}, {overridden} is not one of {sorted(UNITS)}"


def panel_no_targets_rule(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("targets"):
            yield f"panel {panel['title']} asks nothing"


# --- target rules --------------------------------------------------------------------------------


def target_promql_rule(board: Json) -> Iterator[str]:
    for title, target in _targets(board):
        try:
            parse(target["expr"])
        except ValueError as error:
            yield f"panel {title}: {error}: {target['expr']}"


def target_rate_interval_rule(board: Json) -> Iterator[str]:
    """``rate`` over ``$__rate_interval``; ``increase`` may also be asked over the whole range."""
    allowed = {
        "rate": {with_grafana_variables("$__rate_interval")},
        "increase": {with_grafana_variables(name) for name in ("$__rate_interval", "$__range")},
    }
    for title, tree in _trees(board):
        for node, above in calls(tree):
            if not isinstance(node, promql.MatrixSelector):
                continue
            name = above[-1].func.name if above and isinstance(above[-1], promql.Call) else ""
            if f"{node.range.total_seconds():g}s" not in allowed.get(name, set()):
                yield f"panel {title}: {name}() over {node.range} and not over $__rate_interval"


def _needs_matcher(board: Json, label: str) -> Iterator[str]:
    for title, target in _targets(board):
        for selected in re.findall(r"streamix_[a-z_]+(\{[^}]*\})?", target["expr"]):
            if f'{label}=~"${label}"' not in selected:
                yield f'panel {title}: no {label}=~"${label}" in {target["expr"]}'


def target_job_rule(board: Json) -> Iterator[str]:
    yield from _needs_matcher(board, "job")


def target_instance_rule(board: Json) -> Iterator[str]:
    yield from _needs_matcher(board, "instance")


def target_counter_agg_rule(board: Json) -> Iterator[str]:
    for title, tree in _trees(board):
        for node, above in calls(tree):
            if not isinstance(node, promql.VectorSelector) or not (node.name or "").endswith("_total"):
                continue
            call = above[-2] if len(above) > 1 else None
            if not isinstance(call, promql.Call) or call.func.name not in _RATES:
                yield f"panel {title}: counter {node.name} without rate() or increase()"


def target_histogram_rule(board: Json) -> Iterator[str]:
    """Buckets are for quantiles and heatmaps, and to count what is below one bound."""
    kinds = {panel["title"]: panel["type"] for panel in panels(board)}
    for title, tree in _trees(board):
        for node, above in calls(tree):
            if not isinstance(node, promql.VectorSelector) or not (node.name or "").endswith("_bucket"):
                continue
            quantile = any(isinstance(a, promql.Call) and a.func.name == "histogram_quantile" for a in above)
            one_bound = any("le" in use.equal for use in uses(node))
            if not (quantile or one_bound or kinds[title] == "heatmap"):
                yield f"panel {title}: {node.name} outside histogram_quantile()"


# --- dashboard rules -----------------------------------------------------------------------------


def uneditable_dashboard_rule(board: Json) -> Iterator[str]:
    if board["editable"] is not False:
        yield "the dashboard is editable: changes would be lost with the next import"


def template_unused_rule(board: Json) -> Iterator[str]:
    text = str([target["expr"] for _, target in _targets(board)])
    for name, variable in _variables(board).items():
        if variable["type"] == "query" and f"${name}" not in text:
            yield f"variable {name} is used by no panel"


def refresh_rule(board: Json) -> Iterator[str]:
    """It refreshes by itself, and not so often that it would be a load."""
    if board["refresh"] not in ("30s", "1m", "5m"):
        yield f"refresh is {board['refresh']!r}"


# --- our own -------------------------------------------------------------------------------------


def legend_rule(board: Json) -> Iterator[str]:
    """Each series of a graph has a name, and each label in it is one of the query's result."""
    for title, target in _targets(board):
        if not target["legendFormat"]:
            yield f"panel {title}: a query without a legend"


def layout_rule(board: Json) -> Iterator[str]:
    """No two panels on the same place, none outside the grid; ids and titles are unique."""
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if cells & taken or place["x"] + place["w"] > 24:
            yield f"panel {panel['title']} overlaps another, or the edge"
        taken |= cells
    for key in ("id", "title"):
        values = [panel[key] for panel in board["panels"]]
        if len(set(values)) != len(values):
            yield f"two panels have the same {key}"


def row_rule(board: Json) -> Iterator[str]:
    """Every panel stands below a row, and a row's title is a question."""
    if board["panels"][0]["type"] != "row":
        yield "the first panel stands below no row"
    for panel in board["panels"]:
        if panel["type"] == "row" and not panel["title"].endswith("?"):
            yield f"row {panel['title']!r} asks no question"


def uid_rule(board: Json) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"]) or board.get("id") is not None:
        yield "no fixed uid of at most 40 characters, or an id that is another server's"


RULES: tuple[Rule, ...] = (
    template_datasource_rule,
    template_job_rule,
    template_instance_rule,
    template_label_promql_rule,
    template_on_time_change_reload_rule,
    template_unused_rule,
    panel_datasource_rule,
    panel_title_description_rule,
    panel_units_rule,
    panel_no_targets_rule,
    target_promql_rule,
    target_rate_interval_rule,
    target_job_rule,
    target_instance_rule,
    target_counter_agg_rule,
    target_histogram_rule,
    uneditable_dashboard_rule,
    refresh_rule,
    legend_rule,
    layout_rule,
    row_rule,
    uid_rule,
)


def lint(board: Json) -> list[str]:
    """Everything that is wrong with a dashboard."""
    return [f"{rule.__name__}: {problem}" for rule in RULES for problem in rule(board)]
