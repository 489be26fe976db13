"""Every scenario end to end, at a size at which its figures mean nothing but its counts do."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import pytest

from load.harness import Bench
from load.results import Result, text
from load.scenarios import SCENARIOS

TINY: dict[str, list[str]] = {
    "consume": ["--messages", "300", "--concurrency", "2", "--telemetry", "metrics"],
    "publish": ["--messages", "60"],
    "publish_many": ["--messages", "250", "--batch", "100"],
    "publish_threads": ["--messages", "70", "--threads", "4"],
    "latency": ["--seconds", "0.5"],
    "mixed": ["--seconds", "0.5", "--slow-ms", "60"],
    "failures": ["--messages", "100", "--seconds", "0.3", "--backoff-ms", "20"],
    "backlog": ["--sizes", "100", "300"],
    "scaling": ["--threads", "1", "4", "--seconds", "0.2", "--spin", "1000"],
    "memory": ["--messages", "500", "--big-messages", "30", "--slow-messages", "40"],
    "telemetry": ["--messages", "200", "--concurrency", "2"],
    "idle": ["--seconds", "0.5", "--settle-seconds", "0.1"],
    "soak": ["--rate", "100", "--minutes", "0.01"],
}


def options_of(name: str, arguments: list[str]) -> Namespace:
    parser = ArgumentParser()
    SCENARIOS[name].add_options(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def ran(request: pytest.FixtureRequest, bench: Bench) -> Result:
    name: str = request.param
    result: Result = SCENARIOS[name].run(bench, options_of(name, TINY[name]))
    return result


@pytest.mark.slow
@pytest.mark.parametrize("ran", TINY, indirect=True)
def test_a_scenario_loses_and_duplicates_nothing_and_has_every_figure(ran: Result) -> None:
    assert ran.sound, text(ran)
    assert ran.rows
    for row in ran.rows:
        assert row.figures, f"{row.name}: {row.error}"
        assert all(len(values) == 1 and values[0] == values[0] for values in row.figures.values()), row
    if ran.floor:
        assert ran.floor in [row.name for row in ran.rows]
    # A bar's value may be anything here, but it has to be there.
    assert all(bar.value == bar.value for bar in ran.bars), ran.bars


def test_every_scenario_is_tried_here_but_the_peers() -> None:
    assert set(TINY) == set(SCENARIOS) - {"peers"}


@pytest.mark.slow
def test_every_span_is_recorded_at_the_highest_level(bench: Bench) -> None:
    result = SCENARIOS["telemetry"].run(bench, options_of("telemetry", TINY["telemetry"]))

    by_name = {row.name: row for row in result.rows}
    recorded = int(by_name["2 threads, every span"].note.partition(" ")[0].replace(",", ""))
    assert recorded >= 200
    assert by_name["2 threads, no telemetry"].note == ""
