"""How long does a message take from publish() to its handler?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from load.harness import BARE_LOOP, Bench, Contestant
from load.histogram import Histogram
from load.results import Bar, Result, Row

QUESTION = "How long after it was due to be sent does a message reach its handler, at a steady rate?"
OURS = "publish() to handler"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("latency", QUESTION, vars(options), floor=BARE_LOOP.name, server=bench.server.version)
    contestants = [
        BARE_LOOP,
        Contestant(OURS, options={"consumer": {"concurrency": 1}, "telemetry": "metrics"}, note="metrics on"),
    ]

    def measure(contestant: Contestant, row: Row) -> str:
        return measure_latency(bench, contestant, row, options.rate, options.seconds)

    bench.rounds(result, contestants, measure)
    value = result.ratio(OURS, BARE_LOOP.name, "p50 ms")
    result.bars.append(Bar("p50 ≤ 1.2 × the bare loop", value, 1.2, at_most=True))
    return result


def measure_latency(bench: Bench, contestant: Contestant, row: Row, rate: float, seconds: float) -> str:
    """One run of ``seconds``, a tenth of it warm-up, entered into ``row``."""
    messages = max(20, int(rate * seconds))
    one = bench.open_loop(contestant, messages, messages // 10, rate)
    figures = latency_figures(one["latency"])
    row.add(figures, messages=messages, lost=one["lost"], duplicates=one["duplicates"])
    shown = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
    return f"{shown}  lost {one['lost']}, duplicates {one['duplicates']}"


def latency_figures(histogram: dict[str, Any], prefix: str = "") -> dict[str, float]:
    summary = Histogram.from_json(histogram).summary_ms()
    return {f"{prefix}{name} ms": value for name, value in summary.items()}
