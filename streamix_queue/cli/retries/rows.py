"""A retry as `streamix retries` prints it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from streamix_queue.admin import Delayed
from streamix_queue.core.redact import redact_text

__all__ = ["as_row"]


def as_row(retry: Delayed, group: str) -> dict[str, Any]:
    """Without the payload: it may be large, and private."""
    last = retry.attempts[-1] if retry.attempts else None
    due = datetime.fromtimestamp(retry.due_ms / 1000, timezone.utc)
    return {
        "message_id": retry.message_id or None,
        "group": group,
        "event": retry.event,
        "retry": retry.retries,
        "due_at": due.isoformat(timespec="milliseconds"),
        "error_type": (last.error_type if last else None) or None,
        "error": redact_text(last.error) if last else None,
        "source_id": retry.source_id or None,
    }
