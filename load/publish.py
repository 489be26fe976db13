"""A load generator for a service of your own: publishes one event at a steady rate.

    python -m load.publish --rate 500 --event user.created --payload @user.json --duration 5m

It is an open loop: each message has a time at which it is due, and what delays it counts, so that
a slow Redis shows in the percentiles instead of slowing the generator down unseen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from load.histogram import Histogram
from streamix_queue import ConfigError, Publisher, PublishUnknown, StreamixError
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM
from streamix_queue.core.redact import redact_url

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_EXPECTED_DURATION = "expected a number with a unit, such as 30s, 5m or 1h"


class Generator:
    """Publishes from some threads, which share one schedule.

    Args:
        send: Publishes the payload it is given.
        payloads: Used in turn.
        rate: Messages per second of all threads together.
        count: How many in all.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], object],
        payloads: Sequence[dict[str, Any]],
        rate: float,
        count: int,
    ) -> None:
        self._send = send
        self._payloads = payloads
        self._rate = rate
        self._count = count
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # guards what follows
        self.sent = 0
        self.unknown = 0
        self.errors: Counter[str] = Counter()
        self.first_errors: dict[str, str] = {}
        self.late_s = 0.0
        self.all = Histogram()
        self.recent = Histogram()
        self._stopped = threading.Event()
        self._start = 0.0

    def run(self, threads: int) -> list[threading.Thread]:
        """Start; the threads end by themselves."""
        self._start = time.monotonic()
        workers = [
            threading.Thread(target=self._work, name=f"load.publisher-{i}", daemon=True)
            for i in range(threads)
        ]
        for worker in workers:
            worker.start()
        return workers

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()

    def take_recent(self) -> Histogram:
        """Latencies since the last call."""
        with self._lock:
            recent, self.recent = self.recent, Histogram()
        return recent

    @property
    def done(self) -> int:
        """How many were tried."""
        return self.sent + self.unknown + sum(self.errors.values())

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def _work(self) -> None:
        while not self._stopped.is_set():
            number = next(self._numbers)
            if number >= self._count:
                return
            due = self._start + number / self._rate
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            late = time.monotonic() - due
            try:
                self._send(self._payloads[number % len(self._payloads)])
            except StreamixError as error:
                self._failed(error)
            else:
                self._succeeded(time.monotonic() - due, late)

    def _succeeded(self, seconds: float, late: float) -> None:
        with self._lock:
            self.sent += 1
            self.late_s = max(self.late_s, late)
            self.all.record(seconds)
            self.recent.record(seconds)

    def _failed(self, error: StreamixError) -> None:
        name = type(error).__name__
        with self._lock:
            if isinstance(error, PublishUnknown):
                self.unknown += 1
            else:
                self.errors[name] += 1
            self.first_errors.setdefault(name, str(error))


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    count = options.count or max(1, round(options.rate * options.duration))
    try:
        publisher = Publisher(options.url, options.stream)
    except ConfigError as error:
        print(f"python -m load.publish: error: {error}", file=sys.stderr)
        return 2
    with publisher:

        def send(payload: dict[str, Any]) -> object:
            return publisher.publish(options.event, payload)

        generator = Generator(send, options.payload, options.rate, count)
        previous = signal.signal(signal.SIGINT, lambda *_: generator.stop())
        try:
            _watch(generator, generator.run(options.threads), count, options)
        finally:
            signal.signal(signal.SIGINT, previous)
    report = _report(generator, options)
    print("\n".join(_told(report)))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if report["sent"] == report["asked"] else 1


def _watch(
    generator: Generator, workers: list[threading.Thread], count: int, options: argparse.Namespace
) -> None:
    """A line a second until all have ended."""
    before, before_at = 0, 0.0
    while any(worker.is_alive() for worker in workers):
        deadline = time.monotonic() + options.every
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        done, seconds = generator.done, generator.seconds
        recent = generator.take_recent()
        rate = (done - before) / max(seconds - before_at, 1e-9)
        before, before_at = done, seconds
        print(
            f"{seconds:7.1f} s  {done:>10,}/{count:,}  {rate:>9,.1f}/s  "
            f"p50 {recent.percentile(50) * 1e3:.2f} ms  p99 {recent.percentile(99) * 1e3:.2f} ms  "
            f"errors {sum(generator.errors.values())}  unknown {generator.unknown}",
            file=sys.stderr,
            flush=True,
        )


def _report(generator: Generator, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "event": options.event,
        "stream": options.stream,
        "url": redact_url(options.url),
        "asked": options.count or max(1, round(options.rate * options.duration)),
        "asked_rate": options.rate,
        "sent": generator.sent,
        "unknown": generator.unknown,
        "errors": dict(generator.errors),
        "first_errors": generator.first_errors,
        "seconds": generator.seconds,
        "rate": generator.sent / generator.seconds,
        "latency_ms": generator.all.summary_ms(),
        "latest_start_ms": generator.late_s * 1e3,
    }


def _told(report: dict[str, Any]) -> list[str]:
    latencies = ", ".join(f"{name} {value:.2f} ms" for name, value in report["latency_ms"].items())
    lines = [
        f"{report['sent']:,} of {report['asked']:,} sent in {report['seconds']:.1f} s",
        f"{report['rate']:,.1f}/s, asked for {report['asked_rate']:g}/s",
        f"from due to written: {latencies or 'nothing was written'}",
    ]
    if report["latest_start_ms"] > 1000 / report["asked_rate"] and report["latest_start_ms"] > 10:
        lines.append(
            f"late by up to {report['latest_start_ms']:.0f} ms: the rate was not held; try more --threads"
        )
    if report["unknown"]:
        lines.append(f"{report['unknown']:,} of unknown outcome: written or not, the reply was lost")
    lines += [
        f"{number:,} × {name}: {report['first_errors'][name]}" for name, number in report["errors"].items()
    ]
    return lines


# --- options --------------------------------------------------------------------------------


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m load.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", default=DEFAULT_REDIS_URL, help="(%(default)s)")
    parser.add_argument("--stream", default=DEFAULT_STREAM, help="(%(default)s)")
    parser.add_argument("--event", required=True, help="its name")
    parser.add_argument(
        "--payload", type=_payloads, default=[{}], metavar="JSON|@FILE",
        help="an object; a file may hold one a line, which are used in turn ({})",
    )  # fmt: skip
    parser.add_argument("--rate", type=_positive, default=100.0, help="messages a second (%(default)s)")
    parser.add_argument("--duration", type=_duration, default=60.0, metavar="TIME", help="30s, 5m, 1h (60s)")
    parser.add_argument("--count", type=int, help="how many in all, instead of --duration")
    parser.add_argument("--threads", type=int, default=8, help="that publish (%(default)s)")
    parser.add_argument("--every", type=_positive, default=1.0, metavar="S", help="seconds between lines (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report there")
    options = parser.parse_args(arguments)
    for name in ("threads", "count"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} {value}: expected 1 or more")
    return options


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


def _duration(text: str) -> float:
    for unit in sorted(_UNITS_S, key=len, reverse=True):
        if text.endswith(unit):
            try:
                return _positive(text[: -len(unit)]) * _UNITS_S[unit]
            except argparse.ArgumentTypeError:
                break
    raise argparse.ArgumentTypeError(f"{text!r}: {_EXPECTED_DURATION}")


def _payloads(text: str) -> list[dict[str, Any]]:
    """An object given as it is, or a file with one object or one on each line."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise argparse.ArgumentTypeError(f"{text[1:]}: {error}") from None
    try:
        found = [json.loads(text)]
    except ValueError:
        found = [_object_on(line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not found or not all(isinstance(payload, dict) for payload in found):
        raise argparse.ArgumentTypeError("expected a JSON object, or a file with one on each line")
    return found


def _object_on(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"line {number} is not JSON: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
