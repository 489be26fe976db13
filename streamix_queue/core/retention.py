"""What a look at a stream's retention finds: what went, and who holds back the rest."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_KEEP_MS", "PINNED_AFTER_MS", "Pin", "Trimming"]

DEFAULT_KEEP_MS = 86_400_000
"""A day: what every group is done with stays for so long, to be replayed or read by a new group."""

PINNED_AFTER_MS = 3_600_000
"""A group that needs an older entry than this is behind, however short `keep` is: ms."""


@dataclass(frozen=True)
class Pin:
    """A group that is so far behind that the stream grows for its sake.

    Attributes:
        group: Its name.
        entry_id: The oldest entry that it still needs.
        age_s: How old that is, by Redis' clock.
        pending: How many entries it has taken and not settled; 0 if nobody reads for it.
    """

    group: str
    entry_id: str
    age_s: float
    pending: int


@dataclass(frozen=True)
class Trimming:
    """Answer to one step of trimming.

    Attributes:
        removed: Entries that were removed in this step.
        floor: Everything from this id on is needed or to be kept; ``""`` when nothing may be
            trimmed: no stream, no group, or somebody wants to keep everything.
        length: Entries that are left.
        pins: The groups that are far behind, furthest first; at most 16 of them.
        pinning: How many there are.
    """

    removed: int = 0
    floor: str = ""
    length: int = 0
    pins: tuple[Pin, ...] = ()
    pinning: int = 0
