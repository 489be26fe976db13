"""Does it stay as it is, for a long time at a steady rate?"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from typing import Any

from load import filling
from load.harness import Bench, Contestant
from load.histogram import Histogram
from load.payload import GROUP, STREAM
from load.probes import rss_mb
from load.results import Bar, Result

QUESTION = "Do rate, latency and memory stay the same over a long run?"
_SAMPLE_S = 1.0


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second (%(default)s)")
    parser.add_argument("--minutes", type=float, default=5.0, help="length (%(default)s)")
    parser.add_argument("--concurrency", type=int, default=8, help="threads (%(default)s)")
    parser.add_argument("--fail-every", type=int, default=20, help="each so-many-th fails once (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result(
        "soak", QUESTION, vars(options), server=bench.server.version, axes=("seconds", "RSS in MB")
    )
    consumer = {"concurrency": options.concurrency, "backoff_base_ms": 500}
    contestant = Contestant(
        f"{options.rate:g}/s for {options.minutes:g} min",
        options={
            "consumer": consumer,
            "telemetry": "metrics",
            "fail_every": options.fail_every,
            "fail": "once",
        },
        note=f"each {options.fail_every}th fails once and is retried",
    )
    messages = max(20, int(options.rate * options.minutes * 60))
    row = contestant.row(result)
    bench.server.empty()
    samples, one = _soak(bench, contestant, messages, options)
    result.series["consumer"] = samples
    histogram = Histogram.from_json(one["latency"])
    figures = {name + " ms": value for name, value in histogram.summary_ms().items()}
    sizes = [size for _, size in samples] or [float("nan")]
    figures |= {"messages/s": one["per_second"] or float("nan"), "peak MB": max(sizes)}
    row.add(figures, messages=messages, lost=one["lost"], duplicates=one["duplicates"],
            unsettled=filling.unsettled(bench.server.client, STREAM, GROUP))  # fmt: skip
    bench.say(
        f"soak: lost {one['lost']}, duplicates {one['duplicates']}, p99 {figures.get('p99 ms', 0):.2f} ms"
    )
    tenth = max(1, len(sizes) // 10)
    early, late = sum(sizes[tenth : 2 * tenth] or sizes), sum(sizes[-tenth:])
    growth = late / tenth - early / (len(sizes[tenth : 2 * tenth]) or len(sizes))
    result.bars.append(Bar("RSS at the end < 5 MB above that after a tenth", growth, 5, at_most=True))
    return result


def _soak(
    bench: Bench, contestant: Contestant, messages: int, options: Namespace
) -> tuple[list[tuple[float, float]], dict[str, Any]]:
    limit = options.minutes * 60 + 120
    samples: list[tuple[float, float]] = []
    settings = {"warmup": min(messages // 10, 1000), "latencies": True, "deadline_s": limit}
    with bench.start(contestant, "consume", messages, **settings) as child:
        child.wait_ready()
        with bench.start(contestant, "publish", messages, rate=options.rate, deadline_s=limit) as publisher:
            began = time.monotonic()
            while not child.answered(_SAMPLE_S):
                if (size := rss_mb(child.pid)) is not None:
                    samples.append((round(time.monotonic() - began, 1), size))
            publisher.result()
        return samples, child.result()
