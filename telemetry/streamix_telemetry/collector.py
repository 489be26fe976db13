"""The backlog, read from Redis when the page is read: lag, ages, depths, members.

It has a connection of its own and two seconds in all. When Redis is away or slow, its figures are
missing, ``streamix_collector_success`` is 0, and the rest of the page is as ever. A lag that Redis
does not know is absent, never 0: old servers lose it after an XDEL, so alerts go by age.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as otel_context
from prometheus_client.core import Metric as Family

from streamix_queue.broker.redis.group_backlog import BacklogReader, GroupBacklog
from streamix_queue.core.errors import StreamixError
from streamix_queue.core.keys import Keys
from streamix_telemetry import catalogue
from streamix_telemetry.catalogue import CATALOGUE
from streamix_telemetry.metric_kinds import Metric, Sample
from streamix_telemetry.per_registry import PerRegistry, RegistryCollector
from streamix_telemetry.registry_store import family
from streamix_telemetry.trace_context import suppressed

__all__ = ["BacklogCollector", "Target", "backlog_for"]

_BUDGET_S = 1.8
_REPLY_S = 0.6  # to connect, and for each reply
_KEEP_S = 1.0
_ACTIVE_AT_LEAST_S = 15.0


@dataclass(frozen=True)
class Target:
    """A group to report on.

    Attributes:
        redis_url: The server.
        stream: The stream.
        group: The group.
        lease_s: A member that is silent for longer counts as stale (15 s at least).
        memory: Also report the memory of the stream.
    """

    redis_url: str
    stream: str
    group: str
    lease_s: float = 60.0
    memory: bool = False


class BacklogCollector(RegistryCollector):
    """Reports on any number of groups. Thread-safe; never raises, and takes two seconds at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._targets: list[Target] = []
        self._kept: list[Sample] = []
        self._kept_until = 0.0
        self._reader: _Reader | None = None
        self._collecting = threading.Lock()  # one read at a time; a scrape meanwhile waits for its answer

    def watch(self, target: Target) -> None:
        """Report on ``target`` from now on."""
        with self._lock:
            self._targets.append(target)
            self._kept_until = 0.0

    def forget(self, target: Target) -> None:
        """Report on it no more."""
        with self._lock:
            if target in self._targets:
                self._targets.remove(target)
            self._kept_until = 0.0
            reader = self._reader
            if reader is not None and not self._targets:
                self._reader = None
                reader.retire()

    def begin_anew(self) -> None:
        """In a child after a fork: what the parent watches, and its sockets, are the parent's."""
        self._lock, self._collecting = threading.Lock(), threading.Lock()
        self._targets, self._kept, self._reader = [], [], None

    def describe(self) -> Iterator[Family]:
        """The families without samples: registering does not touch Redis."""
        for metric in CATALOGUE:
            if metric.backlog:
                yield family(metric)

    def collect(self) -> Iterator[Family]:
        """What Redis says now, or said within the last second."""
        with self._collecting:
            samples = self._samples()
        found: dict[Metric, dict[tuple[str, ...], float]] = {}
        for metric, labels, value in samples:
            # The first one counts: a page with a sample twice is no page.
            found.setdefault(metric, {}).setdefault(labels, value)
        for metric in CATALOGUE:
            if metric in found:
                yield family(metric, found[metric])

    def _samples(self) -> list[Sample]:
        with self._lock:
            targets = list(dict.fromkeys(self._targets))
            if not targets:
                return []
            if time.monotonic() < self._kept_until:
                return self._kept
            if self._reader is None:
                self._reader = _Reader()
            reader = self._reader
        started = time.monotonic()
        answer = reader.read(targets)
        seconds = time.monotonic() - started
        samples, ok = answer if answer is not None else ([], False)
        samples.append(catalogue.COLLECTOR_SUCCESS.sample(float(ok)))
        samples.append(catalogue.COLLECTOR_DURATION_SECONDS.sample(seconds))
        with self._lock:
            self._kept, self._kept_until = samples, time.monotonic() + _KEEP_S
        return samples


class _Reader:
    """Reads on a thread of its own: a socket can be given a time limit, a name server cannot.

    Its connections belong to that thread; there is never more than one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._thread: threading.Thread | None = None
        self._answer: tuple[list[Sample], bool] | None = None
        self._retired = False
        self._inspectors: dict[str, BacklogReader] = {}  # owned by the thread, when there is one

    def read(self, targets: Sequence[Target]) -> tuple[list[Sample], bool] | None:
        """(figures, whether all are there); None if it took too long, or an earlier one still does."""
        with self._lock:
            if self._thread is not None or self._retired:
                return None
            self._answer = None
            thread = self._thread = threading.Thread(
                target=self._run, args=(targets,), name="streamix.backlog", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no thread can be started: a page without the backlog
                self._thread = None
                return None
        thread.join(_BUDGET_S)
        with self._lock:
            return self._answer

    def retire(self) -> None:
        """Close the connections, now or when the read under way has ended."""
        with self._lock:
            self._retired = True
            if self._thread is None:
                self._close()

    def _run(self, targets: Sequence[Target]) -> None:
        answer: tuple[list[Sample], bool] = ([], False)
        try:
            otel_context.attach(suppressed())
            answer = self._read(targets)
        finally:
            with self._lock:
                self._answer, self._thread = answer, None
                if self._retired:
                    self._close()

    def _read(self, targets: Sequence[Target]) -> tuple[list[Sample], bool]:
        samples: list[Sample] = []
        ok, failed = True, set[str]()
        # Those that could not be reached last time come last, and each server fails once.
        for target in sorted(targets, key=lambda t: t.redis_url not in self._inspectors):
            backlog = None if target.redis_url in failed else self._look(target)
            if backlog is None:
                failed.add(target.redis_url)
            else:
                samples += figures(target, backlog)
            ok = ok and backlog is not None and not backlog.errors
        return samples, ok

    def _look(self, target: Target) -> GroupBacklog | None:
        inspector = self._inspectors.get(target.redis_url)
        try:
            if inspector is None:
                inspector = BacklogReader(target.redis_url, timeout_s=_REPLY_S)
            backlog = inspector.look(Keys(target.stream, target.group), memory=target.memory)
        except (StreamixError, LookupError, TypeError, ValueError):
            # Away, refused, or an answer that nobody expected: the page says only that it failed.
            if inspector is not None:
                inspector.close()
            self._inspectors.pop(target.redis_url, None)
            return None
        self._inspectors[target.redis_url] = inspector
        return backlog

    def _close(self) -> None:
        for inspector in self._inspectors.values():
            inspector.close()
        self._inspectors.clear()


def figures(target: Target, backlog: GroupBacklog) -> Iterator[Sample]:
    """What the page says of a group."""
    yield from _of_stream(target.stream, backlog)
    whose = {"stream": target.stream, "group": target.group}
    if backlog.shared.exists:
        yield from _of_group(whose, target.lease_s, backlog)
    for event, inbox in backlog.inboxes.items():
        if inbox.length is not None:
            yield catalogue.GROUP_INBOX_MESSAGES.sample(inbox.length, **whose, event=event)
    if backlog.delayed is not None:
        yield catalogue.DELAYED_MESSAGES.sample(backlog.delayed, **whose)
        yield catalogue.DELAYED_OVERDUE_SECONDS.sample(backlog.overdue_s, **whose)
    yield catalogue.REDIS_CLOCK_SKEW_SECONDS.sample(backlog.clock_skew_s)


def _of_stream(stream: str, backlog: GroupBacklog) -> Iterator[Sample]:
    read: dict[Metric, float | None] = {
        catalogue.STREAM_LENGTH_MESSAGES: backlog.shared.length,
        catalogue.STREAM_ENTRIES_ADDED: backlog.entries_added,
        catalogue.STREAM_MEMORY_BYTES: backlog.memory_bytes,
        catalogue.DEAD_LETTER_MESSAGES: backlog.dead_letters,
    }
    if backlog.first_entry_s is not None and backlog.last_entry_s is not None:
        read[catalogue.STREAM_FIRST_ENTRY_TIMESTAMP_SECONDS] = backlog.first_entry_s
        read[catalogue.STREAM_LAST_ENTRY_TIMESTAMP_SECONDS] = backlog.last_entry_s
    if backlog.dead_letters is not None:
        read[catalogue.DEAD_LETTER_OLDEST_SECONDS] = backlog.dead_letter_age_s or 0.0
    for metric, value in read.items():
        if value is not None:
            yield metric.sample(value, stream=stream)


def _of_group(whose: Mapping[str, str], lease_s: float, backlog: GroupBacklog) -> Iterator[Sample]:
    lists = [backlog.shared, *backlog.inboxes.values()]
    lag = backlog.shared.lag
    undelivered_s = _oldest(each.undelivered_age_s for each in lists)
    pending_s = _oldest(each.pending_age_s for each in lists)
    yield catalogue.GROUP_LAG_KNOWN.sample(float(lag is not None), **whose)
    if lag is not None:
        yield catalogue.GROUP_LAG_MESSAGES.sample(lag, **whose)
    yield catalogue.GROUP_PENDING_MESSAGES.sample(sum(each.pending for each in lists), **whose)
    yield catalogue.GROUP_OLDEST_UNDELIVERED_SECONDS.sample(undelivered_s, **whose)
    yield catalogue.GROUP_OLDEST_PENDING_SECONDS.sample(pending_s, **whose)
    yield catalogue.GROUP_MAX_IDLE_PENDING_SECONDS.sample(max(each.max_idle_s for each in lists), **whose)
    yield catalogue.GROUP_MAX_DELIVERIES.sample(max(each.max_deliveries for each in lists), **whose)
    active_s = max(lease_s, _ACTIVE_AT_LEAST_S)
    active = sum(idle <= active_s for idle in backlog.members_idle_s)
    stale = len(backlog.members_idle_s) - active
    yield catalogue.GROUP_CONSUMERS.sample(active, **whose, state="active")
    yield catalogue.GROUP_CONSUMERS.sample(stale, **whose, state="stale")


def _oldest(ages: Iterable[float | None]) -> float:
    return max((age for age in ages if age is not None), default=0.0)


backlog_for: Final = PerRegistry(BacklogCollector)
