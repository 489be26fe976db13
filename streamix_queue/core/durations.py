"""Lengths of time as people write them: ``500ms``, ``30s``, ``5m``, ``24h``, ``7d``."""

from __future__ import annotations

import re

__all__ = ["milliseconds_in"]

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)\Z", re.ASCII)


def milliseconds_in(text: str) -> int | None:
    """``text`` as whole milliseconds; None if it is no number with one of the units."""
    found = _DURATION.match(text)
    return round(float(found[1]) * _UNITS[found[2]]) if found is not None else None
