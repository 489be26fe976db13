"""The rules: clean, tested both ways, and each with a runbook and a dashboard."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.observability.repository import ALERTS, DASHBOARDS, PROMETHEUS, REPO, RULES, alerts, dashboard

TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def promtool(*arguments: str | Path, cwd: Path = PROMETHEUS) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is missing: apt-get install prometheus"
    answer = subprocess.run(
        [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_promtool_has_nothing_to_say_about_the_rules() -> None:
    assert promtool("check", "rules", "--lint=all", *RULES).count("SUCCESS") == len(RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_fire_and_stay_silent_as_they_should(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path.name, cwd=path.parent)


def test_the_example_configuration_loads_every_file_of_rules() -> None:
    said = promtool("check", "config", PROMETHEUS / "prometheus.yml")

    assert all(path.name in said for path in RULES), said


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tested_firing_and_silent(alert: str) -> None:
    expectations = [
        bool(check["exp_alerts"])
        for path in TESTS
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for check in test["alert_rule_test"]
        if check["alertname"] == alert
    ]

    assert True in expectations, "no test in which it fires"
    assert False in expectations, "no test in which it is silent"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_leads_to_its_runbook(alert: str) -> None:
    url = alerts()[alert]["annotations"]["runbook_url"]

    path = url.removeprefix("https://github.com/streamix/streamix-queue/blob/main/")
    assert path == f"telemetry/runbooks/{alert}.md"
    text = (REPO / path).read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "What to look at", "What to do"]
    assert "```" in text, "a runbook without a command leaves people to themselves"


def test_there_is_no_runbook_for_an_alert_that_is_gone() -> None:
    there = {path.stem for path in (REPO / "telemetry" / "runbooks").glob("Streamix*.md")}

    assert there == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_leads_to_a_dashboard_that_shows_what_it_is_about(alert: str) -> None:
    rule = alerts()[alert]
    uid, _, query = rule["annotations"]["dashboard_url"].removeprefix("/d/").partition("?")
    boards = [board for board in map(dashboard, DASHBOARDS) if board["uid"] == uid]

    assert len(boards) == 1
    variables = {variable["name"] for variable in boards[0]["templating"]["list"]}
    for assignment in query.split("&"):
        name, _, value = assignment.removeprefix("var-").partition("=")
        assert name in variables
        assert value == f"{{{{ $labels.{name} }}}}"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_pages_or_files_a_ticket(alert: str) -> None:
    rule = alerts()[alert]

    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
