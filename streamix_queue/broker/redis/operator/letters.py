"""Moving a dead letter back to its group, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from streamix_queue.broker.protocol import HANDLER_TTL_MS
from streamix_queue.broker.redis.link import Argument, Link, load_script
from streamix_queue.core.keys import Keys

__all__ = ["Letters", "NotMoved"]

_REPLAY = load_script("replay")


class NotMoved(IntEnum):
    """Why a letter was not moved."""

    GONE = 0
    """There is no such letter: replayed before, or purged."""
    UNHANDLED = 2
    """Nobody in the group handles the event, so nobody would read it; nothing was written."""


class Letters:
    """Moves dead letters."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def replay(
        self, keys: Keys, letter_id: bytes, event: str, fields: Sequence[bytes], *, always: bool
    ) -> bytes | NotMoved:
        """Move a dead letter to the inbox of ``event``, in one step; the id of the new entry.

        Safe to ask again: then it is `NotMoved.GONE`. With ``always`` also when no member of the
        group is known to handle the event.
        """
        arguments: list[Argument] = [letter_id, HANDLER_TTL_MS, event, int(always), *fields]
        reply: int | bytes = self._link.script(
            _REPLAY, [keys.failed, keys.inbox(event), keys.handlers], *arguments
        )
        return reply if isinstance(reply, bytes) else NotMoved(reply)
