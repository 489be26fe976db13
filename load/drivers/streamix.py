"""Streamix Queue as a process under test."""

from __future__ import annotations

import resource
import sys
import time

from load.bare import in_threads
from load.drivers.handlers import register
from load.drivers.instruments import Instruments
from load.job import Job, main, pace
from load.payload import EVENT, GROUP, SLOW_EVENT, STREAM, payload
from load.tally import Tally
from streamix_queue import Consumer, Publisher
from streamix_queue.core.facts import Fact, Settled

_FILL_BATCH = 2000


def publish(job: Job) -> None:
    instruments = Instruments(job.options.get("telemetry", "metrics"))
    with Publisher(job.url, STREAM) as publisher:
        how = job.options.get("how", "single")
        if how == "many":
            job.sent(_publish_many(publisher, job.messages, job.options["batch"]))
        elif how == "threads":
            count = job.options["threads"]
            job.sent(in_threads(count, job.messages, lambda n: publisher.publish(EVENT, payload(n))))
        elif "slow_every" in job.options:
            _publish_mixed(publisher, job)
        else:
            job.send_all(lambda data: publisher.publish(EVENT, data))
    instruments.close()


def fill(job: Job) -> None:
    with Publisher(job.url, STREAM) as publisher:
        job.sent(_publish_many(publisher, job.messages, _FILL_BATCH))


def consume(job: Job) -> None:
    instruments = Instruments(job.options.get("telemetry", "metrics"))
    options = job.options.get("consumer", {})
    settled = Settlements()
    observers = [settled] if job.options.get("until_settled") else []
    consumer = Consumer(job.url, STREAM, GROUP, **options, **instruments.consumer(), observers=observers)
    register(consumer, job.tally, job.options)
    consumer.start()
    job.ready()
    job.wait()
    drained = consumer.stop(timeout=30.0)
    spans = instruments.close()
    rate = settled.rate(job.tally) if observers else {}
    job.report(drained=drained, spans=spans, peak_rss_mb=_peak_rss_mb(), **_marks(job), **rate)


class Settlements:
    """An observer: when Redis had confirmed the last one. In a short run what is not settled counts."""

    def __init__(self) -> None:
        self._last_ns = 0

    def notice(self, fact: Fact) -> None:
        if isinstance(fact, Settled):
            self._last_ns = time.monotonic_ns()

    def rate(self, tally: Tally) -> dict[str, float | None]:
        """Messages a second from the end of the warm-up to the last confirmation."""
        seconds = (self._last_ns - tally.first_ns) / 1e9
        done = tally.reached.is_set() and seconds > 0
        return {"per_second": (tally.messages - tally.warmup) / seconds if done else None}


def _publish_many(publisher: Publisher, messages: int, batch: int) -> float:
    began = time.perf_counter()
    for first in range(0, messages, batch):
        publisher.publish_many(
            [(EVENT, payload(n)) for n in range(first, min(first + batch, messages))],
        )
    return time.perf_counter() - began


def _publish_mixed(publisher: Publisher, job: Job) -> None:
    every = job.options["slow_every"]
    began = time.perf_counter()
    for n, scheduled_ns in pace(job.messages, job.rate):
        publisher.publish(SLOW_EVENT if n % every == 0 else EVENT, payload(n, scheduled_ns))
    job.sent(time.perf_counter() - began)


def _marks(job: Job) -> dict[str, str]:
    """For a run of several processes: which messages came to this one."""
    return {"marks": job.tally.marks().hex()} if job.options.get("marks") else {}


def _peak_rss_mb() -> float:
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(publish, consume, fill)
