from __future__ import annotations

import os
from pathlib import Path

import pytest

from load import report
from load.report import BEGIN, END
from load.results import Bar, Result, Row


def peers() -> Result:
    figures = "consume messages/s", "p99 ms"
    rows = [
        Row("bare redis-py", {figures[0]: [100e3, 110e3], figures[1]: [0.7, 0.8]}, messages=20, ours=False),
        Row("ours", {figures[0]: [150e3, 150e3], figures[1]: [1.0, 1.1]}, messages=20),
        Row("peer | one", {figures[0]: [9e3, 8e3], figures[1]: [0.5, 0.6]}, messages=20, ours=False),
        Row("peer two", error="needs Python 3.99, which is not to be found", ours=False),
    ]
    result = Result(
        "peers", "How do others do?", {"scale": 1.0}, rows, floor="bare redis-py", server="redis 8.2.3"
    )
    result.parameters["environments"] = {"peer | one": {"python": "3.12.1", "packages": ["peer==1.0"]}}
    result.bars += [Bar("fast", 1.4, 1.0), Bar("slow", 0.4, 1.0)]
    return result


def soak() -> Result:
    result = Result("soak", "Does it last?", {}, [Row("ours", {"p50 ms": [1.0]})], axes=("seconds", "MB"))
    result.series = {"consumer": [(0.0, 40.0), (60.0, 41.0)]}
    return result


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("load.plots.draw", lambda results, directory: {})
    path = tmp_path / "README.md"
    path.write_text(f"# Load\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n", encoding="utf-8")
    return path


def written(readme: Path, *results: Result) -> str:
    for result in results:
        result.save(readme.parent / "results")
    assert report.write(readme.parent / "results", readme) == 0
    return readme.read_text(encoding="utf-8")


def test_the_results_go_between_the_markers_and_nothing_else_is_touched(readme: Path) -> None:
    page = written(readme, peers())

    assert page.startswith(f"# Load\n\n{BEGIN}\n")
    assert page.endswith(f"{END}\n\nThe rest.\n")
    assert "old" not in page
    assert "| ours | 150,000 (150,000 – 150,000) | 1.05 (1 – 1.1) | 1.43 | 0 | 0 | 20 |" in page
    assert "redis 8.2.3" in page


def test_writing_again_changes_nothing(readme: Path) -> None:
    once = written(readme, peers(), soak())

    assert written(readme) == once


def test_scenarios_stand_in_their_own_order(readme: Path) -> None:
    page = written(readme, peers(), soak())

    assert page.index("### soak") < page.index("### peers")


def test_rows_in_which_a_peer_is_ahead_are_named(readme: Path) -> None:
    page = written(readme, peers())

    ahead = next(line for line in page.splitlines() if line.startswith("Ahead of ours"))
    assert "peer | one in p99 ms (0.55 to 1.05)" in ahead
    assert "consume" not in ahead


def test_a_peer_that_could_not_be_installed_is_in_the_table(readme: Path) -> None:
    assert "not measured: needs Python 3.99" in written(readme, peers())


def test_bars_that_are_not_met_are_shown_as_such(readme: Path) -> None:
    page = written(readme, peers())

    assert "* ✓ met: fast: **1.4**" in page
    assert "* ✗ NOT MET: slow: **0.4**" in page


def test_a_name_cannot_break_the_table(readme: Path) -> None:
    assert "| peer \\| one |" in written(readme, peers())


def test_what_was_installed_for_a_peer_is_recorded(readme: Path) -> None:
    assert "* peer | one: Python 3.12.1; peer==1.0" in written(readme, peers())


def test_an_unsound_result_is_marked_and_fails_the_report(readme: Path) -> None:
    result = peers()
    result.rows[1].lost = 1
    result.save(readme.parent / "results")

    assert report.write(readme.parent / "results", readme) == 1
    assert "**Not sound" in readme.read_text(encoding="utf-8")


def test_a_page_without_markers_is_left_alone(readme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme.write_text("# mine\n", encoding="utf-8")
    peers().save(readme.parent / "results")

    assert report.write(readme.parent / "results", readme) == 1
    assert readme.read_text(encoding="utf-8") == "# mine\n"
    assert "markers" in capsys.readouterr().err


def test_without_results_there_is_nothing_to_write(readme: Path) -> None:
    before = readme.read_text(encoding="utf-8")

    assert report.write(readme.parent / "empty", readme) == 1
    assert readme.read_text(encoding="utf-8") == before


def test_the_page_in_the_repository_has_the_markers() -> None:
    page = (Path(report.__file__).parent / "README.md").read_text(encoding="utf-8")

    assert page.count(BEGIN) == page.count(END) == 1


def test_pictures_are_drawn_of_bars_and_of_lines_and_linked(tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("matplotlib", reason="pip install '.[load]'")
    page = tmp_path / "README.md"
    page.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    for result in (peers(), soak()):
        result.save(tmp_path / "results")

    assert report.write(tmp_path / "results", page) == 0

    for name in ("peers", "soak"):
        picture = tmp_path / "plots" / f"{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert f"(plots/{name}.png)" in page.read_text(encoding="utf-8")
