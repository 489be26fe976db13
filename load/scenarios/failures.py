"""What do failing messages cost, and do healthy ones feel it?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from load.filling import fill, lost_and_duplicates, number_in_dead_letter, numbers_on
from load.harness import Bench, Contestant
from load.payload import STREAM
from load.results import Bar, Result, Row
from load.scenarios.consume import FIGURE
from load.scenarios.latency import latency_figures

QUESTION = "What does it cost that a share of the messages fails, once or always?"
NONE, ONCE, ALWAYS = "none fails", "a share fails once", "a share fails always"
_RETRY_LIMIT = 2


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        # So many that the wait before the last retries, a tenth of a second, is no part of the rate.
        "--messages",
        type=int,
        default=300_000,
        help="how many wait on the stream (%(default)s)",
    )
    parser.add_argument("--every", type=int, default=10, help="each so-many-th message fails (%(default)s)")
    parser.add_argument("--backoff-ms", type=int, default=100, help="wait before a retry (%(default)s)")
    parser.add_argument("--concurrency", type=int, default=8, help="threads (%(default)s)")
    parser.add_argument(
        "--rate", type=float, default=200.0, help="for the latency: messages a second (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="for the latency: length (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("failures", QUESTION, vars(options), floor=NONE, server=bench.server.version)

    def measure(contestant: Contestant, row: Row) -> str:
        told = _backlog_with_failures(bench, contestant, row, options)
        bench.server.empty()
        return f"{told}; {_latency_of_the_healthy(bench, contestant, row, options)}"

    bench.rounds(result, _contestants(options), measure)
    value = result.ratio(ONCE, NONE, FIGURE)
    result.bars.append(Bar(f"each {options.every}th failing once ≥ 0.6 × none", value, 0.6))
    value = result.ratio(ONCE, NONE, "healthy p99 ms")
    result.bars.append(Bar("p99 of the healthy ≤ 1.5 × (unchanged within noise)", value, 1.5, at_most=True))
    return result


def _contestants(options: Namespace) -> list[Contestant]:
    consumer = {
        "concurrency": options.concurrency,
        "retry_limit": _RETRY_LIMIT,
        "backoff_base_ms": options.backoff_ms,
        "backoff_max_ms": options.backoff_ms * 4,
    }
    share = f"each {options.every}th"
    failing = {"fail_every": options.every}
    return [
        # With the same handler, which asks for the message as well, or the ratio would count that too.
        Contestant(NONE, options={"consumer": consumer, **failing, "fail": "never"}),
        Contestant(
            ONCE, options={"consumer": consumer, **failing, "fail": "once"}, note=f"{share}; then succeeds"
        ),
        Contestant(
            ALWAYS,
            options={"consumer": consumer, **failing, "fail": "always"},
            note=f"{share}; dead-lettered after {1 + _RETRY_LIMIT} attempts",
        ),
    ]


def _backlog_with_failures(bench: Bench, contestant: Contestant, row: Row, options: Namespace) -> str:
    """Messages brought to their end per second, the waits before retries included."""
    fill(bench.server.client, options.messages)
    one = bench.consume(contestant, options.messages)
    lost, duplicates = _dead_letters(bench, contestant, options.messages)
    lost, duplicates = lost + one["lost"], duplicates + one["duplicates"]
    rate = one["per_second"] or float("nan")
    row.add(
        {FIGURE: rate},
        messages=options.messages,
        lost=lost,
        duplicates=duplicates,
        unsettled=one["unsettled"],
    )
    return f"{rate:>12,.0f}/s  lost {lost}, duplicates {duplicates}"


def _dead_letters(bench: Bench, contestant: Contestant, messages: int) -> tuple[int, int]:
    """(missing, too many) on the dead-letter stream."""
    found = numbers_on(bench.server.client, f"{STREAM}:failed", number_in_dead_letter)
    always = contestant.options.get("fail") == "always"
    expected = range(0, messages, contestant.options["fail_every"]) if always else range(0)
    return lost_and_duplicates(found, expected)


def _latency_of_the_healthy(bench: Bench, contestant: Contestant, row: Row, options: Namespace) -> str:
    messages = max(20, int(options.rate * options.seconds))
    one = _open_loop(bench, contestant, messages, options.rate)
    figures = latency_figures(one["latency"], "healthy ")
    row.add(
        {name: figures[name] for name in ("healthy p50 ms", "healthy p99 ms")},
        messages=messages, lost=one["lost"], duplicates=one["duplicates"],
    )  # fmt: skip
    return f"healthy p99 {figures['healthy p99 ms']:.2f} ms"


def _open_loop(bench: Bench, contestant: Contestant, messages: int, rate: float) -> dict[str, Any]:
    # The failing ones are what `slow_every` takes out of the latencies.
    return bench.open_loop(contestant, messages, messages // 10, rate)
