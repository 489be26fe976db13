"""Ids of stream entries, ``1713982500001-0``: Redis' clock in ms, and a number within the millisecond."""

from __future__ import annotations

import re

__all__ = ["added_at_s", "id_order", "is_entry_id", "looks_like_entry_id"]

_ENTRY_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})\Z")


def looks_like_entry_id(text: str) -> bool:
    """True for what is written as an id, if with numbers that Redis may not have."""
    return _ENTRY_ID.match(text) is not None


def is_entry_id(text: str) -> bool:
    """True for what Redis takes for the id of an entry: both numbers fit into 64 bits."""
    parts = _ENTRY_ID.match(text)
    return parts is not None and max(map(int, parts.groups())) < 1 << 64


def id_order(entry_id: bytes | str) -> tuple[int, int]:
    """Orders ids as Redis does: by time, then by the number within the millisecond.

    Raises:
        ValueError: it is no id.
    """
    milliseconds, _, sequence = (entry_id if isinstance(entry_id, str) else entry_id.decode()).partition("-")
    return int(milliseconds), int(sequence or 0)


def added_at_s(entry_id: bytes | None) -> float | None:
    """When the entry was added by Redis' clock, Unix time in seconds; None if there is none."""
    return None if entry_id is None else int(entry_id.partition(b"-")[0]) / 1000
