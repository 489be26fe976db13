"""The retries of a group that wait for their time: read, made due, and cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.broker.redis.link import Link, load_script
from streamix_queue.core.keys import Keys

__all__ = ["Retries"]

_RUN_NOW = load_script("run_now")
_CANCEL = load_script("cancel")


class Retries:
    """Reads and changes the delayed set of a group."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def count(self, keys: Keys) -> int:
        """How many retries wait."""
        count: int = self._link.call("ZCARD", keys.delayed)
        return count

    def members(self, keys: Keys, start: int, count: int) -> list[bytes]:
        """Up to ``count`` members, the next due first, without the first ``start``."""
        page: list[bytes] = self._link.call("ZRANGE", keys.delayed, start, start + count - 1)
        return page

    def due_from(self, keys: Keys, due_ms: float, skip: int, count: int) -> list[tuple[bytes, float]]:
        """Up to ``count`` members and their due times, without the first ``skip`` from ``due_ms`` on."""
        flat: list[bytes] = self._link.call(
            "ZRANGEBYSCORE", keys.delayed, repr(due_ms), "+inf", "WITHSCORES", "LIMIT", skip, count
        )
        return [(member, float(due)) for member, due in zip(flat[::2], flat[1::2], strict=True)]

    def run_now(self, keys: Keys, members: Sequence[bytes]) -> list[bool]:
        """Make members due; for each whether it was there."""
        if not members:
            return []
        answers: list[int] = self._link.script(_RUN_NOW, [keys.delayed], *members)
        return [answer == 1 for answer in answers]

    def cancel(self, keys: Keys, member: bytes, letter: Sequence[bytes]) -> bytes | None:
        """Take a member out, onto the dead-letter stream unless ``letter`` is empty.

        The id of the letter, ``b""`` if there is none, None if the member was not there.
        """
        done: bytes | int = self._link.script(_CANCEL, [keys.delayed, keys.failed], member, *letter)
        if isinstance(done, bytes):
            return done
        return b"" if done else None
