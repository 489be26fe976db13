"""Do slow events hold up fast ones?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.harness import Bench, Contestant
from load.results import Bar, Result, Row
from load.scenarios.latency import latency_figures

QUESTION = "What do slow events of the same stream do to the latency of fast ones?"
ALONE, BESIDE = "fast events alone", "fast events beside slow ones"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of a run (%(default)s)")
    parser.add_argument("--concurrency", type=int, default=4, help="threads (%(default)s)")
    parser.add_argument("--slow-every", type=int, default=10, help="each so-many-th is slow (%(default)s)")
    parser.add_argument(
        "--slow-ms", type=float, default=250.0,
        help="how long a slow handler takes; by default more than all threads can do (%(default)s)",
    )  # fmt: skip


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("mixed", QUESTION, vars(options), floor=ALONE, server=bench.server.version)
    consumer = {"consumer": {"concurrency": options.concurrency}}
    slow = {"slow_every": options.slow_every, "slow_ms": options.slow_ms}
    share = f"each {options.slow_every}th takes {options.slow_ms:g} ms, {options.concurrency} threads"
    contestants = [
        Contestant(ALONE, options=consumer),
        Contestant(BESIDE, options={**consumer, **slow}, note=share),
    ]
    messages = max(20, int(options.rate * options.seconds))

    def measure(contestant: Contestant, row: Row) -> str:
        one = bench.open_loop(contestant, messages, messages // 10, options.rate)
        figures = latency_figures(one["latency"])
        if "latency_apart" in one:
            figures.update(latency_figures(one["latency_apart"], "slow ones' "))
        row.add(figures, messages=messages, lost=one["lost"], duplicates=one["duplicates"])
        return f"p50 {figures['p50 ms']:.2f}, p99 {figures['p99 ms']:.2f} ms"

    bench.rounds(result, contestants, measure)
    # Slow handlers sleep, so fast ones only wait for their own turn: a slow one's time would show.
    limit = options.slow_ms / 10
    text = f"p99 of fast ones < {limit:g} ms, a tenth of a slow handler"
    result.bars.append(Bar(text, result.row(BESIDE).median("p99 ms"), limit, at_most=True))
    return result
