"""Secrets stay out of every text that leaves the process."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["redact_text", "redact_url"]


def redact_url(url: str) -> str:
    """``url`` without user, password and query: enough to tell which server is meant."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "<unreadable url>"
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else "<unreadable url>"


_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@'\"]*@")


def redact_text(text: str) -> str:
    """``text`` with the credentials of every URL in it left out, as safe UTF-8."""
    clean = _CREDENTIALS.sub(r"\g<scheme>***@", text) if "://" in text else text
    return clean.encode("utf-8", "replace").decode()
