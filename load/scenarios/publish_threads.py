"""How fast do many threads publish through one publisher?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.harness import BARE, FLOOR, Bench, Contestant
from load.results import Bar, Result
from load.scenarios.publish import FIGURE, measure_publishing

QUESTION = "How many publish() calls a second do many threads of one process make together?"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=20_000, help="how many to publish (%(default)s)")
    parser.add_argument("--threads", type=int, default=32, help="(%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("publish_threads", QUESTION, vars(options), floor=FLOOR, server=bench.server.version)
    how = {"how": "threads", "threads": options.threads}
    contestants = [
        Contestant(FLOOR, BARE, options=how, note="one client, a connection for each thread"),
        Contestant(f"publish() from {options.threads} threads", options=how),
    ]
    measure_publishing(bench, result, contestants, options.messages)
    value = result.ratio(contestants[1].name, FLOOR, FIGURE)
    result.bars.append(Bar(f"{contestants[1].name} ≥ 1.2 × the bare pool", value, 1.2))
    return result
