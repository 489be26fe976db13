"""In which order the actors of a process start and end."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["SECONDS_TO_END", "Stage"]

SECONDS_TO_END = 10.0
"""For an actor that runs no handlers: one round trip at the most, and what it has to write."""


class Stage(IntEnum):
    """Each starts before the next, and ends after it; those of one stage end together.

    So what is finished can always be settled, and what is being settled is still leased.
    """

    LEASING = 0
    SETTLING = 1
    WORKING = 2
    TAKING = 3
