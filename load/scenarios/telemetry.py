"""What does telemetry cost a consumer?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.drivers.instruments import LEVELS
from load.harness import BARE_LOOP, Bench
from load.results import Result
from load.scenarios.consume import contestants_for, measure_rates

QUESTION = "What do metrics, a sample of the spans, and every span cost a consumer?"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--messages", type=int, default=100_000, help="how many wait on the stream (%(default)s)"
    )
    parser.add_argument("--concurrency", type=int, default=8, help="threads (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("telemetry", QUESTION, vars(options), floor=BARE_LOOP.name, server=bench.server.version)
    contestants = [BARE_LOOP, *contestants_for([options.concurrency], list(LEVELS))]
    measure_rates(bench, result, contestants, options.messages)
    return result
