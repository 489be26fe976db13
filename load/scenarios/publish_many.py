"""How fast does one thread publish in bulk?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.harness import BARE, FLOOR, Bench, Contestant
from load.results import Bar, Result
from load.scenarios.publish import FIGURE, measure_publishing

QUESTION = "How many messages a second does publish_many() write, next to redis-py's pipeline of 100?"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=100_000, help="how many to publish (%(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[100, 1000], help="per call (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("publish_many", QUESTION, vars(options), floor=FLOOR, server=bench.server.version)
    contestants = [
        Contestant(FLOOR, BARE, options={"how": "pipelined", "batch": 100}, note="pipeline of 100")
    ]
    contestants += [
        Contestant(f"publish_many(), {batch} a call", options={"how": "many", "batch": batch})
        for batch in options.batch
    ]
    measure_publishing(bench, result, contestants, options.messages)
    for contestant in contestants[1:]:
        value = result.ratio(contestant.name, FLOOR, FIGURE)
        result.bars.append(Bar(f"{contestant.name} ≥ 1.2 × the bare pipeline", value, 1.2))
    return result
