"""`publish()` and `consume()`: 0.1.0's two functions, thin over `Publisher` and `Consumer`."""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from streamix_queue.consumer import BACKOFF_BASE_MS, BACKOFF_JITTER, BACKOFF_MAX_MS, Consumer
from streamix_queue.core.config import DEFAULT_GROUP, DEFAULT_REDIS_URL, DEFAULT_STREAM
from streamix_queue.core.message import StreamMessage
from streamix_queue.core.retention import DEFAULT_KEEP_MS
from streamix_queue.forks import PerProcess
from streamix_queue.publishing.publisher import Publisher

__all__ = ["consume", "publish"]

_MAX_PUBLISHERS = 32
_publishers: OrderedDict[tuple[object, ...], Publisher] = OrderedDict()
_lock = PerProcess(threading.Lock)  # guards the dictionary, not the publishers, which are thread-safe


def publish(
    event: str,
    data: dict[str, Any],
    *,
    redis_url: str = DEFAULT_REDIS_URL,
    stream: str = DEFAULT_STREAM,
    group: str | None = None,
    max_backlog: int | None = None,
    on_full: str = "block",
    full_timeout_ms: int = 5000,
) -> StreamMessage:
    """Publish one event; see `Publisher.publish`. Keeps its connections between calls.

    Args:
        event: Its name, e.g. ``"user.created"``.
        data: The payload: a JSON object.
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream.
        group: A consumer group to create if it is missing, so that the event is kept for it.
            None stands for 0.1.0's ``"app.workers"``, which had no effect there.
        max_backlog: Hold back when the slowest group is so far behind; see `Publisher`.
        on_full: What to do then; see `Publisher`.
        full_timeout_ms: How long to block, ms.

    Returns:
        The message; a `ShedMessage` if it was shed.

    Raises:
        As `Publisher.publish`.
    """
    publisher = _publisher(redis_url, stream, max_backlog, on_full, full_timeout_ms)
    return publisher.publish(event, data, group=group)


def consume(
    event: str,
    handler: Callable[..., Any],
    *,
    redis_url: str = DEFAULT_REDIS_URL,
    stream: str = DEFAULT_STREAM,
    group: str = DEFAULT_GROUP,
    consumer: str | None = None,
    retry_limit: int = 3,
    batch_size: int | None = None,
    block_ms: int = 5000,
    claim_idle_ms: int = 60_000,
    concurrency: int = 1,
    prefetch: int | None = None,
    backoff_base_ms: int = BACKOFF_BASE_MS,
    backoff_max_ms: int = BACKOFF_MAX_MS,
    backoff_jitter: float = BACKOFF_JITTER,
    start_from: str | datetime = "beginning",
    drain_timeout_ms: int = 30_000,
    max_deliveries: int = 5,
    keep_ms: int | None = DEFAULT_KEEP_MS,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    trace_mode: str | None = None,
) -> None:
    """Handle ``event`` with ``handler``; blocks until stopped. `Consumer` explains the options.

    Example:
        >>> consume("user.created", on_user_created, group="service-a", concurrency=8)

    Raises:
        As `Consumer.run`.
    """
    member = Consumer(
        redis_url,
        stream,
        group,
        consumer=consumer,
        concurrency=concurrency,
        retry_limit=retry_limit,
        backoff_base_ms=backoff_base_ms,
        backoff_max_ms=backoff_max_ms,
        backoff_jitter=backoff_jitter,
        batch_size=batch_size,
        prefetch=prefetch,
        block_ms=block_ms,
        claim_idle_ms=claim_idle_ms,
        start_from=start_from,
        drain_timeout_ms=drain_timeout_ms,
        max_deliveries=max_deliveries,
        keep_ms=keep_ms,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        trace_mode=trace_mode,
    )
    member.on(event, handler)
    member.run()


def _publisher(
    redis_url: str, stream: str, max_backlog: int | None, on_full: str, full_timeout_ms: int
) -> Publisher:
    key = (redis_url, stream, max_backlog, on_full, full_timeout_ms)
    with _lock.get():
        publisher = _publishers.get(key)
        if publisher is None:
            publisher = _publishers[key] = Publisher(
                redis_url, stream, max_backlog=max_backlog, on_full=on_full, full_timeout_ms=full_timeout_ms
            )
            if len(_publishers) > _MAX_PUBLISHERS:
                _, oldest = _publishers.popitem(last=False)
                oldest.close()
        else:
            _publishers.move_to_end(key)
        return publisher


@atexit.register
def close_publishers() -> None:
    """Close the connections that `publish` keeps. Called at exit; harmless at any time."""
    with _lock.get():
        while _publishers:
            _publishers.popitem()[1].close()
