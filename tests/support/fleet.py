"""Consumer processes of one group on one stream, what was published to them, and the verdict."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import redis

from streamix_queue import Publisher
from streamix_queue.core.keys import Keys
from tests.support.fact_log import LogReader, Record
from tests.support.history import Expected, Letter, Published, Report, check, read_letters
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server

__all__ = ["Fleet"]

Data = dict[str, Any]

_SHORT: Data = {
    "claim_idle_ms": 1500,
    "block_ms": 500,
    "backoff_base_ms": 50,
    "backoff_max_ms": 400,
    "drain_timeout_ms": 5000,
}
"""Waits that a test can sit out; what a test gives goes first."""


class Fleet:
    """Starts processes that share a fact log, and knows what they had to do.

    Owned by the test's thread, but for `publish` and `publish_many`, which one other may call.

    Args:
        server: Where the stream is.
        stream: Its name.
        directory: For the log and what the processes print.
        events: What every process handles, unless it is started with others.
        options: Of every `Consumer`.
    """

    def __init__(
        self,
        server: Server,
        stream: str,
        directory: Path,
        *,
        group: str = "g",
        events: tuple[str, ...] = ("thing",),
        **options: Any,
    ) -> None:
        self.published = Published()
        self.processes: list[ConsumerProcess] = []
        self._server = server
        self._stream = stream
        self._group = group
        self._events = events
        self._options = {**_SHORT, **options}
        self._directory = directory
        self._log = directory / "facts"
        self._gates = itertools.count(1)
        self._reader = LogReader(self._log)
        self._publisher = Publisher(server.url, stream)
        self._doomed: dict[str, set[str]] = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publisher.close()
        for process in self.processes:
            process.__exit__()
        if error is not None:
            for process in self.processes:
                print(f"--- process {process.pid}\n{process.stderr()[-2000:]}")

    # --- processes and messages -----------------------------------------------------------------

    def launch(self, **options: Any) -> ConsumerProcess:
        """Start one more process and return at once."""
        process = ConsumerProcess.start(
            self._server.url,
            self._stream,
            self._group,
            log=self._log,
            **{"events": self._events, **self._options, **options},
        )
        self.processes.append(process)
        return process

    def start(self, **options: Any) -> ConsumerProcess:
        """Start one more process and wait until it consumes."""
        return self.launch(**options).wait_until_ready()

    def publish(self, data: Data | None = None, *, event: str = "thing") -> str:
        """Publish one message; its id."""
        message_id = self._publisher.publish(event, data or {}).id
        self.published.ok.add(message_id)
        return message_id

    def publish_many(self, datas: Iterable[Data], *, event: str = "thing") -> list[str]:
        """Publish many messages; their ids."""
        ids = [message.id for message in self._publisher.publish_many([(event, data) for data in datas])]
        self.published.ok.update(ids)
        return ids

    def doom(self, message_id: str, *reasons: str) -> None:
        """This message may, or shall, end in the dead-letter stream."""
        self._doomed[message_id] = set(reasons)

    def gate(self) -> Gate:
        """Something that a handler waits at until the test opens it."""
        return Gate(self._directory / f"gate-{next(self._gates)}")

    # --- what happens ---------------------------------------------------------------------------

    def records(self, kind: str | None = None, message_id: str | None = None) -> list[Record]:
        """The fact log, or what it says of one kind or one message."""
        return [
            record
            for record in self._reader.records()
            if kind in (None, record["kind"]) and message_id in (None, record.get("message_id"))
        ]

    def wait_for(
        self,
        kind: str,
        message_id: str | None = None,
        *,
        by: ConsumerProcess | None = None,
        where: Callable[[Record], bool] = lambda record: True,
        timeout: float = 20,
    ) -> Record:
        """The first record of this kind, about this message, by this process."""
        record = self._reader.wait_for(
            lambda r: (
                r["kind"] == kind
                and message_id in (None, r.get("message_id"))
                and (by is None or by.pid == r["pid"])
                and where(r)
            ),
            timeout,
        )
        if record is None:
            codes = {p.pid: p.wait(0) for p in self.processes if p.exited}
            last = "\n".join(map(str, self.records()[-20:]))
            raise AssertionError(f"no {kind} of {message_id} within {timeout} s; exit codes {codes}\n{last}")
        return record

    def wait_until_taken(self, count: int, timeout: float = 20) -> None:
        """Wait until so many entries of the stream are pending, for whomever."""
        deadline = time.monotonic() + timeout
        while (pending := len(self.pending())) != count:
            assert time.monotonic() < deadline, f"{pending} pending, not {count}"
            time.sleep(0.005)

    @property
    def boots_that_died(self) -> set[str]:
        """The boots of processes that did not end by themselves with 0."""
        dead = {process.pid for process in self.processes if process.exited and process.wait(0) != 0}
        return {record["boot"] for record in self.records() if record["pid"] in dead}

    # --- the end --------------------------------------------------------------------------------

    def rest(self, timeout: float = 30) -> None:
        """Wait until nothing is left to do: all was delivered, nothing is pending, nothing waits."""
        deadline = time.monotonic() + timeout
        with self._server.client() as client:
            while work := self._work(client):
                if time.monotonic() > deadline:
                    last = "\n".join(map(str, self.records()[-20:]))
                    raise AssertionError(f"not at rest after {timeout} s: {work}\n{last}")
                time.sleep(0.02)

    def _work(self, client: redis.Redis) -> dict[str, Any]:
        """What is left to do, by name; empty at rest."""
        keys = Keys(self._stream, self._group)
        inboxes = [keys.inbox(event) for event in self._events]
        left: dict[str, Any] = {"delayed": client.zcard(keys.delayed)}
        info: Any = client.xinfo_stream(keys.stream)
        groups: Any = client.xinfo_groups(keys.stream)
        for group in groups:
            if group["name"] == keys.group:
                left["pending"] = group["pending"]
                left["undelivered"] = group["last-delivered-id"] != info["last-generated-id"]
        for inbox in inboxes:
            left[inbox.decode()] = client.xlen(inbox)
        return {name: value for name, value in left.items() if value}

    def letters(self) -> list[Letter]:
        """The dead letters."""
        with self._server.client() as client:
            return read_letters(client, self._stream)

    def pending(self) -> list[dict[str, Any]]:
        """What is pending on the stream: ``message_id`` (of the entry), ``consumer``, …"""
        with self._server.client() as client, contextlib.suppress(redis.ResponseError):
            entries: Any = client.xpending_range(self._stream, self._group, "-", "+", 1000)
            return list(entries)
        return []

    def report(self, *, struck: int = 0, **expected: Any) -> Report:
        """The verdict; printed, so that a failure shows the counts.

        A second success is accepted where a process died before it could ack the first, unless
        ``deaths`` and ``max_duplicates`` say otherwise.
        """
        deaths = self.boots_that_died
        by_itself = {
            "published": len(self.published.ok),
            "deaths": deaths,
            "max_duplicates": None if deaths else 0,
        }
        report = check(
            self.published,
            self.records(),
            self.letters(),
            Expected(doomed=self._doomed, **{**by_itself, **expected}),
            groups=[self._group],
            faults=struck,
        )
        print(report)
        return report


class Gate:
    """A file: ``{"do": "gate", "path": …}`` waits until it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, **then: Any) -> Data:
        """The data of a message that waits here, and then does ``then``."""
        return {"do": "gate", "path": str(self._path), **then}

    def open(self) -> None:
        self._path.touch()
