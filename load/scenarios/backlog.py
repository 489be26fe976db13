"""Does a long backlog slow a consumer down, or make it grow?

The clock runs until Redis has confirmed the last settlement: of a few messages many are handled and
not settled yet when the last handler ends, and of a million none to speak of.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.filling import fill
from load.harness import Bench, Contestant
from load.results import Bar, Result, Row
from load.scenarios.consume import FIGURE, record_rate

QUESTION = "Does it matter to rate and memory how many messages wait?"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000],
        help="messages that wait; 10000000 takes 3 GB in the server (%(default)s)",
    )  # fmt: skip


def run(bench: Bench, options: Namespace) -> Result:
    names = {size: f"{size:,} waiting" for size in options.sizes}
    first, last = names[options.sizes[0]], names[options.sizes[-1]]
    result = Result("backlog", QUESTION, vars(options), floor=first, server=bench.server.version)
    sizes = {name: size for size, name in names.items()}

    def measure(contestant: Contestant, row: Row) -> str:
        size = sizes[contestant.name]
        fill(bench.server.client, size)
        one = bench.consume(contestant, size, warmup=size // 10)
        told = record_rate(row, one, size)
        row.add({"peak RSS MB": one["peak_rss_mb"]})
        return f"{told}, peak {one['peak_rss_mb']:.1f} MB"

    contestants = [Contestant(name, options={"until_settled": True}) for name in sizes]
    bench.rounds(result, contestants, measure)
    result.bars.append(Bar(f"{last} ≥ 0.9 × {first}", result.ratio(last, first, FIGURE), 0.9))
    peak = max((max(row.figures.get("peak RSS MB", [0])) for row in result.rows), default=0)
    result.bars.append(Bar("peak RSS < 80 MB", peak, 80, at_most=True))
    return result
