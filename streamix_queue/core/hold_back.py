"""When a publisher is held back: a high and a low watermark, and how often to look."""

from __future__ import annotations

__all__ = ["allowance", "low_watermark"]


def low_watermark(limit: int) -> int:
    """How far the backlog has to fall before publishing goes on: well below where it stopped."""
    return limit * 4 // 5


def allowance(backlog: int, limit: int) -> int:
    """How many messages may be published before it is worth to look again.

    A twentieth of the room that is left, for others publish as well; but near the limit no more
    looks than one in a hundredth of it, by which it may so be exceeded.
    """
    return max(1, (limit - backlog) // 20, limit // 100)
