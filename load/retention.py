"""``python -m load.retention``: is anything trimmed that a group needs, and does memory follow the slowest?

A million messages go through a stream with three groups: one as fast as it can, one slow, and one
whose process is killed half-way and started again when the others are done. All the while the first
entry of the stream is compared, by id, with the first message that each group has not handled; when
everything stands still each entry that is still needed is looked for; and at the end each group has to
have handled every message. Exits with 1 if any of this does not hold.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import sys
import tempfile
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.child import Child
from load.server import SERVERS, LoadServer, running_server
from streamix_queue import Publisher
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.publication import Publication

STREAM, EVENT = "load.retention", "load.retained"
FAST, SLOW, STOPPED = "fast", "slow", "stopped"
_BATCH = 500
_SAMPLE_S = 0.25
_PAGE = 5000
_PATIENCE_S = 20.0
_LATE_S = 5.0  # the janitor looks once a second, and this machine may be busy
_NODE = 256  # more entries than a node of the stream holds
_SEQ_BITS = 20


@dataclass(frozen=True)
class Sample:
    """The stream at one moment."""

    at: float
    published: int
    handled: dict[str, int]
    lowest: int  # the first message that some group has not handled
    length: int
    needed: int
    memory_mb: float


class Marks:
    """How often a group has handled each message: a byte each, written by the group's process."""

    def __init__(self, path: Path, messages: int) -> None:
        path.write_bytes(bytes(messages))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)
        self.path = path
        self._first = 0

    def first_unhandled(self) -> int:
        """The number of the first message that was not handled yet; all before it were."""
        found = self._bytes.find(b"\0", self._first)
        self._first = len(self._bytes) if found < 0 else found
        return self._first

    def handled(self) -> int:
        return len(self._bytes) - self._bytes[:].count(0)

    def counts(self) -> list[int]:
        """How many messages were handled 0, 1, 2, … times."""
        copy = self._bytes[:]
        return [copy.count(times) for times in range(256)]

    def unhandled(self) -> list[int]:
        return [n for n, times in enumerate(self._bytes[:]) if times == 0]


class EntryIds:
    """An interceptor that notes the id of every entry, in the order of the messages."""

    def __init__(self) -> None:
        self.numbers: array[int] = array("Q")

    @contextmanager
    def publishing(self, publication: Publication) -> Iterator[None]:
        yield
        self.numbers.extend(map(_number, publication.entry_ids))

    def processing(self, attempt: Attempt) -> None:
        """Nothing: this is a publisher's."""


def _number(entry_id: bytes) -> int:
    ms, seq = entry_id.split(b"-")
    return int(ms) << _SEQ_BITS | int(seq)


class Scenario:
    """One run on one server."""

    def __init__(self, server: LoadServer, messages: int, directory: Path, stack: ExitStack) -> None:
        self._server = server
        self._client = server.client
        self._messages = messages
        self._stack = stack
        self._ids = EntryIds()
        self._marks = {group: Marks(directory / group, messages) for group in (FAST, SLOW, STOPPED)}
        self._children: dict[str, Child] = {}
        self._began = time.monotonic()
        self._shown = 0.0
        self.samples: list[Sample] = []
        self.failures: list[str] = []

    def run(self) -> None:
        for group in (FAST, SLOW, STOPPED):
            self._start(group)
        empty_mb = self._sample().memory_mb
        publisher = threading.Thread(target=self._publish, name="load.publish", daemon=True)
        publisher.start()
        half = self._messages // 2
        self._watch("half-way", lambda sample: sample.handled[STOPPED] >= half)
        self._kill(STOPPED)
        self._watch(
            "the fast and the slow group are done",
            lambda sample: min(sample.handled[FAST], sample.handled[SLOW]) == self._messages,
        )
        publisher.join()
        self._watch(
            "what only they needed is gone",
            # What it had in hand when it was killed is needed as well, though it was handled.
            lambda sample: sample.length <= sample.needed + self._pending(STOPPED) + _NODE,
            patience_s=_PATIENCE_S,
        )
        full = self.samples[-1]
        self._look_for_everything_needed()
        self._start(STOPPED)
        self._watch(
            "the stopped group has caught up", lambda sample: sample.handled[STOPPED] == self._messages
        )
        self._watch(
            "the stream is empty again", lambda sample: sample.length <= _NODE, patience_s=_PATIENCE_S
        )
        after = self.samples[-1]
        self._expect(
            after.memory_mb - empty_mb < 0.1 * (full.memory_mb - empty_mb) + 1.0,
            f"memory fell from {full.memory_mb:.1f} MB to {after.memory_mb:.1f} MB ({empty_mb:.1f} MB empty)",
        )
        self._judge_counts()

    # --- what happens ---------------------------------------------------------------------------

    def _start(self, group: str) -> None:
        job = {
            "url": self._server.url,
            "group": group,
            "marks": str(self._marks[group].path),
            "concurrency": 4,
            "sleep_s": 0.0002 if group == SLOW else 0.0,
        }
        child = self._children[group] = self._stack.enter_context(Child("load.drivers.retention_group", job))
        child.wait_ready()

    def _kill(self, group: str) -> None:
        os.kill(self._children[group].pid, signal.SIGKILL)

    def _publish(self) -> None:
        pad = "x" * 100
        with Publisher(self._server.url, STREAM, interceptors=[self._ids]) as publisher:
            for first in range(0, self._messages, _BATCH):
                numbers = range(first, min(first + _BATCH, self._messages))
                publisher.publish_many([(EVENT, {"n": n, "pad": pad}) for n in numbers])

    # --- what is looked at ----------------------------------------------------------------------

    def _watch(self, until: str, done: Callable[[Sample], bool], patience_s: float | None = None) -> None:
        """Sample until ``done``; fail when nothing moves any more, or after ``patience_s``."""
        last_move = began = time.monotonic()
        while True:
            sample = self._sample()
            if done(sample):
                self._show(sample, until)
                return
            previous = self.samples[-2]
            now = time.monotonic()
            if (sample.published, sample.handled) != (previous.published, previous.handled):
                last_move = now
            if now - last_move > 30.0 or (patience_s is not None and now - began > patience_s):
                raise SystemExit(f"not reached: {until}; {sample}")
            if now - self._shown > 5.0:
                self._show(sample)
            time.sleep(_SAMPLE_S)

    def _sample(self) -> Sample:
        first: Any = self._client.xrange(STREAM, count=1)
        # Read after the stream: by then the groups can only have handled more.
        unhandled = {group: marks.first_unhandled() for group, marks in self._marks.items()}
        published = len(self._ids.numbers)
        if first:
            there_from = bisect_left(self._ids.numbers, _number(first[0][0]), 0, published)
            for group, number in unhandled.items():
                self._expect(
                    there_from <= number,
                    f"{group} needs message {number}, trimmed up to {there_from}",
                    quiet=True,
                )
        lowest, length = min(unhandled.values()), int(self._client.xlen(STREAM))
        now = time.monotonic() - self._began
        then = next((old.lowest for old in reversed(self.samples) if old.at < now - _LATE_S), 0)
        most = len(self._ids.numbers) - then + _BATCH + _NODE
        self._expect(length <= most, f"{length} on the stream, {most} needed {_LATE_S:g} s ago", quiet=True)
        sample = Sample(
            now,
            published,
            {group: marks.handled() for group, marks in self._marks.items()},
            lowest,
            length,
            max(0, published - lowest),
            self._client.info("memory")["used_memory"] / 1e6,
        )
        self.samples.append(sample)
        return sample

    def _pending(self, group: str) -> int:
        pending: int = self._client.xpending(STREAM, group)["pending"]
        return pending

    def _look_for_everything_needed(self) -> None:
        """Each entry that the stopped group has not handled, by id."""
        there: set[int] = set()
        start: str | bytes = "-"
        while page := self._client.xrange(STREAM, start, "+", count=_PAGE):
            there.update(_number(entry_id) for entry_id, _ in page)
            start = b"(" + page[-1][0]
        needed = self._marks[STOPPED].unhandled()
        missing = [n for n in needed if self._ids.numbers[n] not in there]
        self._expect(
            not missing, f"of {len(needed)} entries that the stopped group needs {len(missing)} are missing"
        )

    def _judge_counts(self) -> None:
        for group, marks in self._marks.items():
            never, once, *more = marks.counts()
            self._expect(never == 0, f"{group}: {once} messages once, {sum(more)} again, {never} never")
            if group != STOPPED:  # what was in hand when it was killed may run twice
                self._expect(sum(more) == 0, f"{group}: {sum(more)} messages more than once")
        letters = self._client.xlen(f"{STREAM}:failed")
        self._expect(letters == 0, f"{letters} dead letters")

    def _expect(self, holds: bool, what: str, *, quiet: bool = False) -> None:
        if not holds:
            self.failures.append(what)
        if not (holds and quiet):
            print(f"{'ok ' if holds else 'NOT'} {what}", flush=True)

    def _show(self, sample: Sample, reached: str = "") -> None:
        self._shown = time.monotonic()
        handled = ", ".join(f"{group} {count}" for group, count in sample.handled.items())
        print(
            f"{sample.at:6.1f} s  published {sample.published}, handled: {handled};"
            f"  on the stream {sample.length}, needed {sample.needed}, {sample.memory_mb:.1f} MB"
            + (f"  <- {reached}" if reached else ""),
            flush=True,
        )


def run(messages: int, kind: str) -> list[str]:
    """Run the scenario; what did not hold."""
    with running_server(kind) as server, tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        print(f"{messages} messages, {server.version}", flush=True)
        scenario = Scenario(server, messages, Path(directory), stack)
        scenario.run()
        return scenario.failures


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.retention", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument(
        "--server", choices=SERVERS, default="auto", help="auto: Redis 8, else what is embedded"
    )
    options = parser.parse_args(arguments)
    failures = run(options.messages, options.server)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
