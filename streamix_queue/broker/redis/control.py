"""What an operator changes at run time: pauses, retention, and the retries that wait."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.broker.redis import pauses, retention
from streamix_queue.broker.redis.groups import event_names, group_names
from streamix_queue.broker.redis.link import Link, load_script
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import PINNED_AFTER_MS, Trimming

__all__ = ["RedisControlBroker"]

_RUN_NOW = load_script("run_now")
_CANCEL = load_script("cancel")
_COUNT = load_script("count")
_MAX_EVENTS = 1000
_PER_COUNT = 200


class RedisControlBroker:
    """One connection, opened at first use. Owned by one thread.

    Args:
        url: The server.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._link = Link(url, timeout_s)

    def groups(self, keys: Keys) -> list[str]:
        """Names of the consumer groups of the stream; none if there is no stream."""
        return [name.decode(errors="replace") for name in group_names(self._link, keys.stream)]

    def events(self, keys: Keys) -> list[str]:
        """What members of the group handle or handled lately; of very many the latest 1000."""
        return event_names(self._link, keys, _MAX_EVENTS)

    def pause(self, keys: Keys, events: Sequence[str]) -> int:
        """Pause events; how many were not paused before."""
        return pauses.pause(self._link, keys, events)

    def resume(self, keys: Keys, events: Sequence[str]) -> int:
        """Start events again; how many were paused."""
        return pauses.resume(self._link, keys, events)

    def paused(self, keys: Keys) -> dict[str, int]:
        """The paused events, and since when (server ms)."""
        return pauses.paused(self._link, keys)

    # --- retention ------------------------------------------------------------------------------

    def has_wishes(self, keys: Keys) -> bool:
        """Whether a group of the stream has said how long it wants everything to be kept."""
        return bool(self._link.call("HLEN", keys.keeps))

    def trim(self, keys: Keys, keep_ms: int, limit: int, *, wishes: bool) -> Trimming:
        """One step; with ``limit`` 0 only a look. ``wishes`` keeps for as long as any group wants."""
        keeps = keys.keeps if wishes else None
        return retention.trim(self._link, keys.stream, keep_ms, limit, PINNED_AFTER_MS, keeps=keeps)

    def count_below(self, keys: Keys, floor: str, enough: int) -> int:
        """Entries of the stream below an id, counted no further than ``enough``."""
        if floor == "0-0":  # below it there is nothing, and Redis refuses to look there
            return 0
        count, start = 0, b"-"
        while count < enough:
            page = min(_PER_COUNT, enough - count)
            found, last = self._link.script(_COUNT, [keys.stream], start, f"({floor}", page)
            count += found
            if found < page:
                break
            start = b"(" + last
        return count

    # --- retries --------------------------------------------------------------------------------

    def count_delayed(self, keys: Keys) -> int:
        """How many retries wait."""
        count: int = self._link.call("ZCARD", keys.delayed)
        return count

    def delayed(self, keys: Keys, due_ms: float, skip: int, count: int) -> list[tuple[bytes, float]]:
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

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._link.close()
