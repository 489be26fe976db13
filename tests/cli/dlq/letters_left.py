"""What is left of the dead letters, and how they are counted."""

from __future__ import annotations

import json
from typing import Any

from streamix_queue.admin import Admin
from tests.support.command import streamix
from tests.support.servers import Server


def left(server: Server, stream: str) -> list[str]:
    """Ids of the dead letters, the oldest first."""
    with Admin(server.url, stream) as admin:
        return [letter.id for letter in admin.dead_letters()]


def stats(env: dict[str, str], *options: str) -> list[dict[str, Any]]:
    """What `streamix dlq stats` counts."""
    ended = streamix("dlq", "stats", "-o", "json", *options, env=env)
    assert ended.code == 0
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found
