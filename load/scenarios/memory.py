"""How much memory does a consumer take, and does it grow?"""

from __future__ import annotations

import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from load.filling import fill
from load.harness import Bench, Contestant
from load.payload import EVENT, SLOW_EVENT
from load.probes import rss_mb
from load.results import Bar, Result, Row

QUESTION = "What does a consumer hold in memory under a backlog, and is it flat?"
SMALL, BIG, SLOW = "small messages", "64 KiB messages", "slow handler"
_SAMPLE_S = 0.1
_BIG_PAD = "x" * 65_536


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=1_000_000, help="small ones that wait (%(default)s)")
    parser.add_argument("--big-messages", type=int, default=10_000, help="big ones that wait (%(default)s)")
    parser.add_argument("--slow-messages", type=int, default=2_000, help="for a slow handler (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("memory", QUESTION, vars(options), server=bench.server.version)
    result.axes = ("seconds", "RSS in MB")
    contestants = {
        SMALL: Contestant(SMALL, note="a no-op handler"),
        BIG: Contestant(BIG, note="a no-op handler; what it holds is bounded by bytes as well"),
        SLOW: Contestant(
            SLOW,
            options={"consumer": {"concurrency": 8}, "sleep_ms": 20, "slow_every": 2, "slow_ms": 40},
            note="20 ms and 40 ms, 8 threads: credits bound what is held",
        ),
    }
    counts = {SMALL: options.messages, BIG: options.big_messages, SLOW: options.slow_messages}

    def measure(contestant: Contestant, row: Row) -> str:
        messages = counts[contestant.name]
        pad = _BIG_PAD if contestant.name == BIG else ""
        fill(bench.server.client, messages, pad=pad, event_of=_event_of(contestant))
        samples, one = _watch(bench, contestant, messages)
        result.series[contestant.name] = samples
        peak, growth = max(rss for _, rss in samples), _growth(samples)
        figures = {"peak MB": peak, "growth MB": growth}
        row.add(figures, messages=messages, lost=one["lost"], duplicates=one["duplicates"])
        return f"peak {peak:.1f} MB, growth {growth:+.1f} MB"

    bench.rounds(result, list(contestants.values()), measure)
    result.bars.append(
        Bar("peak RSS of small messages < 80 MB", result.row(SMALL).median("peak MB"), 80, at_most=True)
    )
    worst = max(row.median("growth MB") for row in result.rows)
    result.bars.append(
        Bar("flat: grows by less than 5 MB from the second third to the last", worst, 5, at_most=True)
    )
    return result


def _event_of(contestant: Contestant) -> Callable[[int], str]:
    every = contestant.options.get("slow_every")
    return lambda n: SLOW_EVENT if every and n % every == 0 else EVENT


def _watch(
    bench: Bench, contestant: Contestant, messages: int
) -> tuple[list[tuple[float, float]], dict[str, Any]]:
    """RSS of its process over time, and its result."""
    samples: list[tuple[float, float]] = []
    with bench.start(contestant, "consume", messages, warmup=messages // 10) as child:
        child.wait_ready()
        began = time.monotonic()
        while not child.answered(_SAMPLE_S):
            if (size := rss_mb(child.pid)) is not None:
                samples.append((round(time.monotonic() - began, 2), size))
        return samples or [(0.0, float("nan"))], child.result()


def _growth(samples: list[tuple[float, float]]) -> float:
    """From the second third to the last: the first third is still reading its modules in."""
    sizes = [size for _, size in samples]
    third = max(1, len(sizes) // 3)
    return statistics.median(sizes[-third:]) - statistics.median(sizes[third : 2 * third] or sizes)
