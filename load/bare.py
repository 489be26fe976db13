"""The floor of every ratio: redis-py alone, as one writes it by hand, with no guarantee added.

Reads 100 at a time, decodes with ``json.loads``, acks a batch at once; publishes by one pooled
``XADD`` each, or by a pipeline of 100.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis

from load.payload import GROUP, STREAM, envelope

COUNT = 100


def client(url: str) -> redis.Redis:
    """A client as redis-py makes it, but for RESP 2, which is the faster of its parsers."""
    return redis.Redis.from_url(url, protocol=2)


def consume(connection: Any, handle: Callable[[dict[str, Any]], object], going: Callable[[], bool]) -> None:
    """Handle and ack until ``going`` is false, which is asked once a read."""
    with suppress(redis.ResponseError):  # it is there
        connection.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    while going():
        for _, entries in connection.xreadgroup(GROUP, "bare", {STREAM: ">"}, count=COUNT, block=1000) or ():
            ids = []
            for entry_id, fields in entries:
                handle(json.loads(fields[b"message"])["data"])
                ids.append(entry_id)
            connection.xack(STREAM, GROUP, *ids)


def publish(connection: Any, n: int, scheduled_ns: int = 0) -> None:
    """One message, one round trip."""
    connection.xadd(STREAM, {"message": envelope(n, scheduled_ns)})


def publish_pipelined(connection: Any, messages: int, batch: int = 100) -> float:
    """Seconds for ``messages`` in pipelines of ``batch``."""
    pipeline = connection.pipeline(transaction=False)
    began = time.perf_counter()
    for n in range(messages):
        pipeline.xadd(STREAM, {"message": envelope(n)})
        if n % batch == batch - 1:
            pipeline.execute()
    pipeline.execute()
    return time.perf_counter() - began


def in_threads(count: int, messages: int, send: Callable[[int], object]) -> float:
    """Seconds for ``messages`` sent by ``count`` threads, each its share of the numbers."""
    gate = threading.Barrier(count + 1)

    def share(first: int) -> None:
        gate.wait()
        try:
            for n in range(first, messages, count):
                send(n)
        except BaseException:
            gate.abort()  # the others, and who waits for all, are not to wait for ever
            raise
        gate.wait()

    for first in range(count):
        threading.Thread(target=share, args=(first,), name=f"load.publisher-{first}", daemon=True).start()
    gate.wait()
    began = time.perf_counter()
    gate.wait()
    return time.perf_counter() - began
