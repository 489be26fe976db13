"""One line in the log for what an operator did: who, to what, and how many."""

from __future__ import annotations

import getpass
import logging
import socket
from collections.abc import Sequence
from dataclasses import fields

from streamix_queue.admin.letters.filter import DeadLetterFilter

__all__ = ["audit"]

_log = logging.getLogger("streamix_queue.audit")
_IDS_TOLD = 20


def audit(what: str, stream: str, which: DeadLetterFilter | Sequence[str], **counts: int) -> None:
    """State it at level info, to the logger ``streamix_queue.audit``."""
    told = " ".join(f"{name}={count}" for name, count in counts.items())
    _log.info("%s: %s by=%s stream=%r which=%s", what, told, _who(), stream, _chosen(which))


def _who() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _chosen(which: DeadLetterFilter | Sequence[str]) -> str:
    if not isinstance(which, DeadLetterFilter):
        more = f" and {len(which) - _IDS_TOLD} more" if len(which) > _IDS_TOLD else ""
        return ",".join(which[:_IDS_TOLD]) + more
    given = ((each.name, getattr(which, each.name)) for each in fields(which))
    return " ".join(f"{name}={str(value)!r}" for name, value in given if value is not None) or "all"
