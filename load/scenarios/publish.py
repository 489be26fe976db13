"""How fast does one thread publish, one message at a time?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.filling import lost_and_duplicates, numbers_on
from load.harness import BARE, FLOOR, Bench, Contestant
from load.payload import STREAM
from load.results import Bar, Result, Row

QUESTION = "How many publish() calls a second does one thread make, next to a bare pooled XADD?"
FIGURE = "messages/s"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=20_000, help="how many to publish (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("publish", QUESTION, vars(options), floor=FLOOR, server=bench.server.version)
    contestants = [Contestant(FLOOR, BARE), Contestant("publish()")]
    measure_publishing(bench, result, contestants, options.messages)
    value = result.ratio("publish()", FLOOR, FIGURE)
    result.bars.append(Bar("publish() ≥ 0.85 × the bare XADD", value, 0.85))
    return result


def measure_publishing(bench: Bench, result: Result, contestants: list[Contestant], messages: int) -> None:
    """Rounds in which each publishes; then every message is looked for on the stream."""

    def measure(contestant: Contestant, row: Row) -> str:
        one = bench.run(contestant, "publish", messages)
        lost, duplicates = lost_and_duplicates(numbers_on(bench.server.client, STREAM), range(messages))
        row.add({FIGURE: one["per_second"]}, messages=messages, lost=lost, duplicates=duplicates)
        return f"{one['per_second']:>12,.0f}/s  lost {lost}, duplicates {duplicates}"

    bench.rounds(result, contestants, measure)
