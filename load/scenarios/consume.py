"""How fast does one process consume?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.filling import fill
from load.harness import BARE_LOOP, Bench, Contestant
from load.results import Bar, Result, Row

QUESTION = "How many messages a second does one process consume, next to a loop written by hand?"
FIGURE = "messages/s"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--messages", type=int, default=200_000, help="how many wait on the stream (%(default)s)"
    )
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8], help="threads (%(default)s)")
    parser.add_argument("--telemetry", nargs="+", default=["metrics", "off"], help="levels (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("consume", QUESTION, vars(options), floor=BARE_LOOP.name, server=bench.server.version)
    contestants = [BARE_LOOP, *contestants_for(options.concurrency, options.telemetry)]
    measure_rates(bench, result, contestants, options.messages)
    for contestant in contestants:
        if contestant.options.get("telemetry") == "metrics":
            value = result.ratio(contestant.name, BARE_LOOP.name, FIGURE)
            result.bars.append(Bar(f"{contestant.name} ≥ 1.0 × the bare loop", value, 1.0))
    return result


def contestants_for(concurrency: list[int], levels: list[str]) -> list[Contestant]:
    return [
        Contestant(
            f"{threads} thread{'s' * (threads > 1)}, " + level_name(level),
            options={"consumer": {"concurrency": threads}, "telemetry": level},
        )
        for level in levels
        for threads in concurrency
    ]


def level_name(level: str) -> str:
    names = {"off": "no telemetry", "metrics": "metrics", "sampled": "1 % of spans", "spans": "every span"}
    return names[level]


def measure_rates(bench: Bench, result: Result, contestants: list[Contestant], messages: int) -> None:
    """Rounds in which each consumes a stream filled anew; a tenth of it is warm-up."""

    def measure(contestant: Contestant, row: Row) -> str:
        fill(bench.server.client, messages)
        one = bench.consume(contestant, messages, warmup=messages // 10)
        if one.get("spans"):
            row.note = f"{one['spans']:,} spans a run"
        return record_rate(row, one, messages)

    bench.rounds(result, contestants, measure)


def record_rate(row: Row, one: dict[str, object], messages: int) -> str:
    """Enter one consumer's result."""
    rate = one["per_second"]
    figures = {FIGURE: float(rate)} if isinstance(rate, (int, float)) else {}
    counts = {name: int(str(one.get(name) or 0)) for name in ("lost", "duplicates", "unsettled")}
    row.add(figures, messages=messages, **counts)
    return f"{rate or 0:>12,.0f}/s  lost {counts['lost']}, duplicates {counts['duplicates']}"
