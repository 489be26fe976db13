"""When the retries of a group are due."""

from __future__ import annotations

from typing import Any

import redis

from streamix_queue.core.keys import Keys


def due_times(client: redis.Redis, keys: Keys) -> list[float]:
    """In milliseconds since the epoch, the next first."""
    found: Any = client.zrange(keys.delayed, 0, -1, withscores=True)
    return [due for _, due in found]
