"""Dashboards, rules and documents speak of metrics and labels that exist, and of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamix_telemetry.catalogue import CATALOGUE
from tests.observability.names import FROM_PROMETHEUS, VALUES, labels_of, mentioned, metric_of, series_of
from tests.observability.promql import Use, joined_on, parse, uses
from tests.observability.repository import DASHBOARDS, REPO, dashboard, panels, rules

RECORDED = {rule["record"]: {"job", "stream", "group"} for rule in rules() if "record" in rule}


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of everything that asks Prometheus."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for name in DASHBOARDS:
        board = dashboard(name)
        for panel in panels(board):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}", target["expr"]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                selector = variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0]
                yield f"{name}: ${variable['name']}", selector


EXPRESSIONS = list(expressions())


def asked(expr: str) -> list[Use]:
    """Metrics in ``expr``; of a choice by ``__name__``, each of them."""
    found = uses(parse(expr))
    names = re.search(r'__name__=~"([^"]+)"', expr)
    if names is None:
        return found
    return [Use(name, found[0].labels, found[0].equal) for name in names[1].split("|")]


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_what_is_asked_for_is_exported(where: str, expr: str) -> None:
    found = asked(expr)
    assert found
    exported: set[str] = set()
    for use in found:
        if use.metric in RECORDED:
            assert use.labels <= RECORDED[use.metric]
            exported |= RECORDED[use.metric]
            continue
        assert metric_of(use.metric) is not None, f"no metric is called {use.metric}"
        assert use.labels <= labels_of(use.metric), f"{use.metric} has {sorted(labels_of(use.metric))}"
        exported |= labels_of(use.metric)
        for label, value in use.equal.items():
            assert value in VALUES.get(label, {value}), f"{label} is never {value!r}"
    assert joined_on(parse(expr)) <= exported


@pytest.mark.parametrize("name", DASHBOARDS)
def test_legends_name_labels_that_the_query_keeps(name: str) -> None:
    for panel in panels(dashboard(name)):
        for target in panel["targets"]:
            kept = set.union(*(use.labels for use in asked(target["expr"])))
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in kept, f"{panel['title']}: {{{{{label}}}}} is not in {target['expr']}"


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {
        use.metric for where, expr in EXPRESSIONS if ": " in where and "$" not in where for use in asked(expr)
    }

    missing = [metric.name for metric in CATALOGUE if not series_of(metric) & shown]
    assert missing == []


DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "telemetry/**/*.md",
        "telemetry/**/*.y*ml",
        "grafana/*.md",
        "grafana/provisioning/**/*",
        "docs/**/*.md",
        "load/*.md",
    )
    for path in REPO.glob(pattern)
    if path.is_file()
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPO)))
def test_documents_name_metrics_that_are_exported(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    unknown = [
        name
        for name in mentioned(text)
        if metric_of(name) is None and all(metric.name != name for metric in CATALOGUE)
    ]
    assert unknown == []
    for name, matchers in re.findall(r"(streamix_\w+)\{([^{}]*)\}", text):
        labels = set(re.findall(r"(\w+)\s*[=!]", matchers))
        assert labels <= labels_of(name), f"{name} has {sorted(labels_of(name))}"


def test_the_reference_lists_every_metric_with_its_labels() -> None:
    text = (REPO / "telemetry" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(streamix_\w+)` \| (\w+) \| ([^|]*) \|", text, re.MULTILINE)

    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(listed) == len(rows), "a metric is listed twice"
    assert listed == {metric.name: (metric.kind, metric.labels) for metric in CATALOGUE}


def test_the_checks_notice_a_name_and_a_label_that_nobody_exports() -> None:
    assert metric_of("streamix_queue_time_seconds") is None, "a histogram has no series of its own name"
    assert metric_of("streamix_acked_total") is None
    assert "event" not in labels_of("streamix_retries_total")
    assert mentioned("see `streamix_nothing_total`, streamix_queue, streamix_telemetry.configure()") == {
        "streamix_nothing_total"
    }
    assert {"job", "instance"} == FROM_PROMETHEUS
