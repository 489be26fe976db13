"""Which dead letters failed alike: an error with everything that differs by message left out."""

from __future__ import annotations

import hashlib
import re

__all__ = ["fingerprint"]

_MOST = 2000
"""Characters of an error that count: what follows is rather the payload than the error."""

_VARIABLE = (
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "<uuid>"),
    # An apostrophe inside a word opens no quotation.
    (re.compile(r"(?<!\w)[bBrRuU]?'[^'\n]*'(?!\w)"), "<text>"),
    (re.compile(r'(?<!\w)[bBrRuU]?"[^"\n]*"(?!\w)'), "<text>"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<number>"),
    (re.compile(r"\b(?=[a-fA-F]*[0-9])[0-9a-fA-F]{8,}\b"), "<number>"),
    (re.compile(r"(?:(?<!\w)[+-])?[0-9]+(?:\.[0-9]+)?"), "<number>"),
    (re.compile(r"\s+"), " "),
)


def fingerprint(event: str, error_type: str, error: str) -> str:
    """A short name of the way in which a message failed: 10 hex digits.

    The same for the same event, class of error and text, whatever the numbers, hex numbers,
    UUIDs and quoted values in it. It is the same in every process and version.
    """
    text = error[:_MOST]
    for pattern, stands_for in _VARIABLE:
        text = pattern.sub(stands_for, text)
    whole = f"{event}\0{error_type}\0{text.strip()}"
    return hashlib.blake2b(whole.encode("utf-8", "replace"), digest_size=5).hexdigest()
