"""Names in Redis (of groups, members, events, keys) as text: other software may have written them."""

from __future__ import annotations

__all__ = ["as_text"]


def as_text(raw: bytes) -> str:
    """``raw`` as UTF-8, with U+FFFD for what is none: to be shown, or looked for."""
    return raw.decode(errors="replace")
