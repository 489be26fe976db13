"""The dashboards: made by the code, and understood by Grafana's own models."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from grafana.generator.__main__ import DASHBOARDS as MADE
from grafana.generator.__main__ import main as generate
from grafana.generator.__main__ import rendered
from tests.observability.repository import DASHBOARDS, dashboard

needs_the_models = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Grafana's models for Python need 3.11"
)


@pytest.mark.parametrize("name", MADE)
def test_the_committed_json_is_what_the_code_makes(name: str) -> None:
    assert DASHBOARDS[name].read_text(encoding="utf-8") == rendered(MADE[name]), "python -m grafana.generator"


def test_no_dashboard_is_committed_that_no_code_makes() -> None:
    assert set(DASHBOARDS) == set(MADE)


def test_check_tells_a_stale_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("grafana.generator.__main__.FOLDER", tmp_path)
    assert generate([]) == 0
    assert generate(["--check"]) == 0
    (tmp_path / "overview.json").write_text("{}")

    assert generate(["--check"]) == 1
    assert "overview.json" in capsys.readouterr().err
    assert generate(["--no-such-option"]) == 2


@needs_the_models
@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafanas_own_models_lose_and_change_nothing(name: str) -> None:
    before = dashboard(name)

    assert differences(before, through_the_models(before)) == []


@needs_the_models
def test_the_models_notice_what_grafana_does_not_know() -> None:
    board = dashboard("overview")
    stat = next(panel for panel in board["panels"] if panel["type"] == "stat")
    stat["options"]["colourMode"] = "value"
    stat["fieldConfig"]["defaults"]["unti"] = "s"
    board["templating"]["list"][1]["multiple"] = True

    assert [path.rpartition(".")[2] for path in differences(board, through_the_models(board))] == [
        "multiple",
        "unti",
        "colourMode",
    ]


def through_the_models(board: dict[str, Any]) -> Any:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Where ``after`` lacks or changes something; what it adds are the models' defaults."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[str] = []
        for key, value in before.items():
            found += (
                differences(value, after.get(key), f"{path}.{key}") if key in after else [f"{path}.{key}"]
            )
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            where
            for number, (one, other) in enumerate(zip(before, after, strict=True))
            for where in differences(one, other, f"{path}[{number}]")
        ]
    return [] if before == after else [path]
