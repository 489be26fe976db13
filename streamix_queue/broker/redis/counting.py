"""Counting the entries of a stream in steps, so that no script blocks Redis for long."""

from __future__ import annotations

from streamix_queue.broker.redis.link import Link, load_script

__all__ = ["count_between"]

_COUNT = load_script("count")
_STEP = 500
"""Entries that one script reads: a few milliseconds at the most."""


def count_between(link: Link, key: bytes, low: bytes, below: bytes | None, *, enough: int) -> int:
    """Entries from ``low`` to below an id, or to the end (None), counted no further than ``enough``.

    A ``low`` that begins with ``(`` is left out. Raises `BrokerError`.
    """
    count, high = 0, b"+" if below is None else b"(" + below
    while count < enough:
        step = min(_STEP, enough - count)
        found, last = link.script(_COUNT, [key], low, high, step)
        count += found
        if found < step:
            break
        low = b"(" + last
    return count
