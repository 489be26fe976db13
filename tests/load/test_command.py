from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from load.__main__ import main
from load.machine import ROOT
from load.results import Result
from load.scenarios import SCENARIOS

SMALL = ["publish", "--messages", "50", "--repeats", "2", "--server", "valkey9", "--no-pinning"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "load", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_without_a_scenario_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0

    listed = capsys.readouterr().out
    for name in (*SCENARIOS, "all", "report"):
        assert f"\n    {name}" in listed


@pytest.mark.parametrize("name", [*SCENARIOS, "all", "report"])
def test_each_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])

    assert ended.value.code == 0
    assert "--" in capsys.readouterr().out


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    directory = tmp_path_factory.mktemp("results")
    return run(*SMALL, "--json", str(directory)), directory / "publish.json"


def test_a_scenario_prints_its_table_and_writes_its_json(
    ran: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    answer, written = ran

    assert answer.returncode == 0, answer.stderr
    assert "ratio to bare redis-py" in answer.stdout
    result = Result.load(written)
    assert [len(row.figures["messages/s"]) for row in result.rows] == [2, 2]
    assert result.parameters == {"messages": 50, "repeats": 2}
    assert result.server.startswith("valkey 9")


def test_no_path_of_this_machine_gets_into_a_result(
    ran: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    written = ran[1].read_text(encoding="utf-8")

    assert json.loads(written)
    for path in (ROOT, Path.home(), ran[1].parent):
        assert str(path) not in written


def test_a_lost_message_makes_the_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("load.scenarios.publish.lost_and_duplicates", lambda found, expected: (1, 0))

    assert main(SMALL) == 1


def test_all_goes_on_after_one_that_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = []

    def measure(name: str, *_: object) -> int:
        ran.append(name)
        return 1 if name == "consume" else 0

    monkeypatch.setattr("load.__main__._measure", measure)

    assert main(["all", "--skip", "peers", "soak"]) == 1
    assert ran == [name for name in SCENARIOS if name not in ("peers", "soak")]
