from __future__ import annotations

import math
from pathlib import Path

import pytest

from load.results import Bar, Result, Row, number, ratio, table, text


def result_of(*rows: Row, floor: str = "floor") -> Result:
    return Result("consume", "How fast?", {"messages": 10}, rows=list(rows), floor=floor)


def row(name: str, *rates: float, **more: object) -> Row:
    return Row(name, {"messages/s": list(rates)}, messages=10, **more)  # type: ignore[arg-type]


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_round_cancels_out() -> None:
    floor, ours = row("floor", 100, 10, 100), row("ours", 200, 20, 200)

    assert ratio(ours, floor, "messages/s") == 2.0


def test_a_ratio_of_what_was_not_measured_is_none() -> None:
    assert math.isnan(ratio(Row("ours"), row("floor", 1), "messages/s"))


def test_a_bar_is_not_met_by_a_value_that_is_missing() -> None:
    assert Bar("", 1.0, 1.0).met
    assert not Bar("", 0.99, 1.0).met
    assert not Bar("", 5.1, 5.0, at_most=True).met
    assert not Bar("", math.nan, 1.0).met
    assert not Bar("", math.nan, 1.0, at_most=True).met


@pytest.mark.parametrize("fault", [{"lost": 1}, {"duplicates": 1}, {"unsettled": 1}, {"error": "no"}])
def test_a_fault_of_ours_or_of_the_floor_makes_a_run_unsound_and_a_peers_does_not(
    fault: dict[str, object],
) -> None:
    good = row("floor", 1), row("ours", 1)

    assert result_of(*good, row("peer", 1, ours=False, **fault)).sound
    assert not result_of(*good, row("ours too", 1, **fault)).sound
    assert not result_of(row("floor", 1, ours=False, **fault), row("ours", 1)).sound


def test_the_table_has_median_spread_ratio_and_counts() -> None:
    heading, _, ours = table(result_of(row("floor", 100, 110, 90), row("ours", 150, 170, 140, duplicates=2)))

    assert heading == ["", "messages/s", "ratio to floor", "lost", "duplicates", "of messages", "note"]
    assert ours == ["ours", "150 (140 – 170)", "1.55", "0", "2", "10", ""]


def test_one_that_could_not_be_measured_stands_in_the_table_with_its_reason() -> None:
    cells = table(result_of(row("floor", 1), Row("peer", error="no such version\nmore", ours=False)))

    assert cells[2][0] == "peer"
    assert cells[2][-1] == "not measured: no such version"


def test_the_text_says_what_failed() -> None:
    said = text(result_of(row("floor", 1), row("ours", 1, lost=3)))

    assert "FAILED" in said
    assert "FAILED" not in text(result_of(row("floor", 1), row("ours", 1)))


def test_a_table_of_nothing_can_be_shown() -> None:
    assert "ours" in text(result_of(Row("floor"), Row("ours", error="broken")))


def test_a_result_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    result = result_of(row("floor", 1.5), row("ours", 2.5, note="8 threads"))
    result.bars.append(Bar("≥ 1", 1.6, 1.0))
    result.series = {"consumer": [(0.0, 40.0), (1.0, 41.5)]}
    result.axes = ("seconds", "MB")

    assert Result.load(result.save(tmp_path / "new")) == result


def test_a_result_says_what_it_was_measured_with() -> None:
    result = result_of()

    assert result.versions["streamix-queue"]
    assert result.versions["redis"]
    assert result.machine["cores"]
    assert result.machine["cpu"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(math.nan, "–"), (123456.7, "123,457"), (0.98765, "0.988"), (3.0, "3"), (250.4, "250")],
)
def test_figures_are_shown_as_a_person_reads_them(value: float, shown: str) -> None:
    assert number(value) == shown
