"""`publish()`: thin over `Publisher`, and keeps its connections between calls."""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from typing import Any

from streamix_queue.core.config import PublisherConfig
from streamix_queue.core.message import StreamMessage
from streamix_queue.forks import PerProcess
from streamix_queue.publishing.publisher import Publisher

__all__ = ["publish"]

_MAX_PUBLISHERS = 32
_publishers: OrderedDict[tuple[object, ...], Publisher] = OrderedDict()
_lock = PerProcess(threading.Lock)  # guards the dictionary, not the publishers, which are thread-safe


def publish(
    event: str,
    data: dict[str, Any],
    *,
    redis_url: str = PublisherConfig.redis_url,
    stream: str = PublisherConfig.stream,
    group: str | None = None,
    max_backlog: int | None = PublisherConfig.max_backlog,
    on_full: str = PublisherConfig.on_full,
    full_timeout_ms: int = PublisherConfig.full_timeout_ms,
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
    publisher = _publisher(
        redis_url=redis_url,
        stream=stream,
        max_backlog=max_backlog,
        on_full=on_full,
        full_timeout_ms=full_timeout_ms,
    )
    return publisher.publish(event, data, group=group)


def _publisher(**options: Any) -> Publisher:
    """The one that is kept for these options, made if there is none."""
    key = tuple(options.values())
    with _lock.get():
        publisher = _publishers.get(key)
        if publisher is None:
            publisher = _publishers[key] = Publisher(**options)
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
