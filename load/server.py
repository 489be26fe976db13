"""The server of a run: the benchmark's own, on a free port of loopback, ended with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from load import machine

SERVERS = ("auto", "redis6", "redis7", "redis8", "valkey9")


class LoadServer:
    """A running server, empty, without persistence.

    Attributes:
        url: For clients.
        client: One for the harness itself.
        version: What it is, e.g. ``redis 8.2.3``.
    """

    def __init__(self, url: str, pid: int, *, pinned: bool = True) -> None:
        self.url = url
        self.pid = pid
        self.client: Any = redis.Redis.from_url(url, protocol=2)
        info = self.client.info("server")
        kind = "valkey" if "valkey_version" in info else "redis"
        self.version = f"{kind} {info.get('valkey_version') or info['redis_version']}"
        if pinned:
            machine.pin(pid, machine.server_cores())

    def empty(self) -> None:
        """Remove all data, so that each run meets the server as it was at the start."""
        self.client.flushall()

    def commands(self) -> Counter[str]:
        """How often it has carried out each command so far; those inside scripts count as well."""
        stats = self.client.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()})

    def round_trips(self) -> int:
        """How often it has read from a client so far."""
        return int(self.client.info("stats")["total_reads_processed"])

    def close(self) -> None:
        self.client.close()


@contextmanager
def running_server(kind: str = "auto", *, pinned: bool = True) -> Iterator[LoadServer]:
    """Start a server of ``kind``; ``auto`` is Redis 8 if it can be had, else what is embedded."""
    with _start(kind) as started:
        server = LoadServer(started.url, started.pid, pinned=pinned)
        try:
            yield server
        finally:
            server.close()


def _start(kind: str) -> Any:
    try:
        from tests.support.server_kinds import ServerMissing, fetch
        from tests.support.servers import Server
    except ImportError:  # an installed copy without the tests
        if kind != "auto":
            raise
    else:
        chosen = "redis8" if kind == "auto" else kind
        try:
            fetch(chosen)
            return Server.start(chosen)
        except ServerMissing:
            if kind != "auto":
                raise
    from streamix_queue.embedded import EmbeddedServer

    return EmbeddedServer(appendonly=False)
