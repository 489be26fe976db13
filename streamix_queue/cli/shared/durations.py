"""Times on a command line: ``90s``, ``5m``, ``24h``, ``7d``."""

from __future__ import annotations

import click

from streamix_queue.core.durations import milliseconds_in

__all__ = ["duration_ms", "in_words"]


def duration_ms(text: str) -> int:
    """The ``type`` of an option: a time, as whole milliseconds."""
    found = 0 if text == "0" else milliseconds_in(text)
    if found is not None:
        return found
    raise click.BadParameter(f"{text!r}: expected a time such as 90s, 30m, 6h or 7d")


def in_words(seconds: float | None) -> str | None:
    """A time for people: ``0.4s``, ``12s``, ``5m3s``, ``2h5m``, ``3d4h``; None stays None."""
    if seconds is None:
        return None
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600}h"
