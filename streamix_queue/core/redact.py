"""Secrets stay out of every text that leaves the process."""

from __future__ import annotations

import re

__all__ = ["redact_text", "redact_url"]

_UNREADABLE = "<unreadable url>"
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*\Z")
_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?\Z")
_SPACELESS = re.compile(r"\S*")


def redact_url(url: str) -> str:
    """``url`` without user, password and query: enough to tell which server is meant.

    A password that is not percent-encoded may hold ``/``, ``?`` or ``#`` and so end up in what
    looks like the port, the path or the query. Where that is possible nothing is shown.
    """
    scheme, separator, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    after = rest[len(authority) :]
    if not separator or not _SCHEME.match(scheme) or not _HOST.match(host) or "@" in after:
        return _UNREADABLE
    return f"{scheme}://{host}{re.split('[?#]', after, maxsplit=1)[0]}"


def redact_text(text: str) -> str:
    """``text`` with the credentials of every URL in it left out, as safe UTF-8."""
    if "://" in text:
        # In pieces, for a regular expression over the whole takes quadratic time on hostile text.
        head, *pieces = text.split("://")
        text = "://".join([head, *map(_without_credentials, pieces)])
    return text.encode("utf-8", "replace").decode()


def _without_credentials(after_scheme: str) -> str:
    match = _SPACELESS.match(after_scheme)
    rest = match.group() if match else ""
    authority = rest.partition("/")[0]
    # After a colon there may be a password, with a slash or an @ of its own: up to the last @, then.
    end = rest.rfind("@") if ":" in authority else authority.rfind("@")
    return after_scheme if end < 0 else f"***{after_scheme[end:]}"
