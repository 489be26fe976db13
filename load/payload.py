"""The one message that every contestant publishes and consumes.

Only the standard library: peers import it in environments of their own.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from typing import Any

EVENT = "user.created"
SLOW_EVENT = "report.requested"
STREAM = "load.events"
GROUP = "load.workers"


def payload(n: int, scheduled_ns: int = 0) -> dict[str, Any]:
    """The data of message ``n``, and when it was to be sent (``time.monotonic_ns()``).

    In 0.1.0's envelope it makes some 260 bytes, 275 with a time in it.
    """
    return {"n": n, "t": scheduled_ns, "user_id": "123", "email": "alice@example.com"}


def envelope(n: int, scheduled_ns: int = 0, event: str = EVENT) -> str:
    """The message as a bare client writes it: with an id and timestamps, by ``json.dumps``."""
    now = datetime.now(timezone.utc).isoformat()
    return json.dumps(
        {
            "id": str(uuid.uuid4()),
            "event": event,
            "data": payload(n, scheduled_ns),
            "retries": 0,
            "timestamps": {"created_at": now, "updated_at": now},
        },
        separators=(",", ":"),
    )
