"""Names in Redis as text. Other software may have written them, in any encoding."""

from __future__ import annotations

__all__ = ["as_text"]


def as_text(raw: bytes) -> str:
    """``raw`` as UTF-8, with a replacement character for what is none: to be shown, or looked for."""
    return raw.decode(errors="replace")
