"""`Control`: what an operator changes on one stream at run time."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from streamix_queue.admin.retries import LATEST_MS, waiting_retries
from streamix_queue.admin.stream_client import StreamClient
from streamix_queue.core.config import number
from streamix_queue.core.dead_letter import Origin
from streamix_queue.core.delayed import Delayed, cancelled_letter
from streamix_queue.core.keys import Keys
from streamix_queue.core.payload import check_event
from streamix_queue.core.retention import DEFAULT_KEEP_MS, Pin

__all__ = ["Cancelled", "Control", "Delayed", "Pin", "TrimReport"]

_PER_STEP = 10_000
_AT_ONCE = 100
_MAX_EVENTS = 1000
_COUNTED_UP_TO = 100_000
"""A dry run of `Control.trim` counts no further."""


@dataclass(frozen=True)
class TrimReport:
    """What `Control.trim` did.

    Attributes:
        removed: Entries that went; with ``dry_run`` those that may go, counted up to 100,000.
            Redis removes whole nodes of about 100 entries, so that some of them stay a while.
        left: Entries that are left (with ``dry_run``: that are there).
        floor: Everything from this id on is needed or to be kept; ``""`` when nothing may go: no
            stream, no group, or a group wants to keep everything.
        keep_ms: How long everything is kept, at least, ms; None when the groups' wishes decide.
        pins: The groups that are far behind, furthest first; at most 16.
        pinning: How many there are.
        dry_run: Nothing was removed.
    """

    removed: int
    left: int
    floor: str
    keep_ms: int | None
    pins: tuple[Pin, ...]
    pinning: int
    dry_run: bool


@dataclass(frozen=True)
class Cancelled:
    """What became of a retry that was to be cancelled.

    Attributes:
        retry: The retry.
        there: It was there, and is no more.
        letter_id: Id of its dead letter; ``""`` if it was dropped, or was not there.
    """

    retry: Delayed
    there: bool
    letter_id: str = ""


class Control(StreamClient):
    """Changes to one stream and its groups while they run. Not thread-safe: one for each thread.

    May be used as a context manager. Every method raises `BrokerError` when Redis cannot be
    reached or refuses.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream, not its dead-letter stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def groups(self) -> list[str]:
        """Names of the stream's consumer groups."""
        return self._group_names()

    def events(self, group: str) -> list[str]:
        """What members of ``group`` handle, or did lately."""
        return self._operator.groups.events(self._keys_of(group), _MAX_EVENTS)

    # --- pauses ---------------------------------------------------------------------------------

    def pause(self, group: str, *events: str) -> int:
        """Let no member of ``group`` start these events; how many were not paused before.

        Takes effect within about a second. What runs is finished; what waits is kept, and other
        groups and events go on.
        """
        return self._operator.pauses.pause(self._keys_of(group), [check_event(event) for event in events])

    def resume(self, group: str, *events: str) -> int:
        """Let these events be started again; how many were paused."""
        return self._operator.pauses.resume(self._keys_of(group), [check_event(event) for event in events])

    def paused(self, group: str) -> dict[str, datetime]:
        """The paused events of ``group``, and since when by Redis' clock (UTC)."""
        since = self._operator.pauses.paused(self._keys_of(group))
        return {event: _moment(since[event]) for event in sorted(since)}

    # --- retention ------------------------------------------------------------------------------

    def trim(
        self,
        *,
        keep_ms: int | None = None,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> TrimReport:
        """Remove what every group is done with, and never what one still needs.

        May be interrupted at any time, and run again.

        Args:
            keep_ms: Keep everything younger than this, ms, whatever the groups wish. None: as long
                as any group wishes, a day if none has said.
            dry_run: Only tell what would go.
            progress: Called with the number of entries that each step removed.

        Raises:
            ConfigError: ``keep_ms`` is out of range.
        """
        if keep_ms is not None:
            number("keep_ms", keep_ms, 0, 2**53, unit="ms")
        keys, retention = self._keys, self._operator.retention
        wishes = keep_ms is None
        least = keep_ms if keep_ms is not None else 0 if retention.has_wishes(keys) else DEFAULT_KEEP_MS
        found = retention.trim(keys, least, 0 if dry_run else _PER_STEP, wishes=wishes)
        removed = step = found.removed
        while step and not dry_run:
            if progress is not None:
                progress(step)
            found = retention.trim(keys, least, _PER_STEP, wishes=wishes)
            step = found.removed
            removed += step
        if dry_run and found.floor:
            removed = self._count_below(found.floor)
        return TrimReport(removed, found.length, found.floor, keep_ms, found.pins, found.pinning, dry_run)

    # --- retries --------------------------------------------------------------------------------

    def count_retries(self, group: str) -> int:
        """How many retries of ``group`` wait for their time."""
        return self._operator.retries.count(self._keys_of(group))

    def retries(self, group: str, *, event: str | None = None, look_at: int = 10_000) -> Iterator[Delayed]:
        """The retries of ``group`` that wait, the next due first.

        They are read page by page as they are taken: stop when you have enough.

        Args:
            group: The group.
            event: Those of this event.
            look_at: Look at no more than so many.

        Raises:
            ConfigError: an argument is out of range.
        """
        number("look_at", look_at, 0, 2**53)
        return waiting_retries(self._operator.retries, self._keys_of(group), event, look_at)

    def run_now(self, group: str, retries: Iterable[Delayed]) -> list[Delayed]:
        """Make retries due now; those that were still there. The group takes them within a second.

        Safe to repeat: a retry that is on its way already is not sent twice.
        """
        keys, chosen, there = self._keys_of(group), list(retries), []
        for start in range(0, len(chosen), _AT_ONCE):
            page = chosen[start : start + _AT_ONCE]
            answers = self._operator.retries.run_now(keys, [retry.member for retry in page])
            there += [retry for retry, known in zip(page, answers, strict=True) if known]
        return there

    def cancel(self, group: str, retries: Iterable[Delayed], *, drop: bool = False) -> Iterator[Cancelled]:
        """Cancel retries: each goes to the dead letters in one step, reason ``rejected``.

        Nothing happens before the results are taken; each is done as it is taken. Safe to repeat.

        Args:
            group: The group.
            retries: What `retries` gave.
            drop: Remove them for good, without a dead letter.
        """
        keys = self._keys_of(group)
        origin = Origin(self._stream, group, f"operator-{socket.gethostname()}-{os.getpid()}")
        for retry in list(retries):  # taking one out moves those behind it
            letter: list[bytes] = []
            if not drop:
                letter = cancelled_letter(retry, origin, str(uuid.uuid4()), _now())
            letter_id = self._operator.retries.cancel(keys, retry.member, letter)
            yield Cancelled(retry, letter_id is not None, (letter_id or b"").decode())

    def _count_below(self, floor: str) -> int:
        if floor == "0-0":  # below it there is nothing, and Redis refuses to look there
            return 0
        return self._operator.entries.count_between(
            self._keys.stream, b"-", floor.encode(), enough=_COUNTED_UP_TO
        )

    def _keys_of(self, group: str) -> Keys:
        return Keys(self._stream, group)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(max(0.0, min(ms, LATEST_MS)) / 1000, timezone.utc)
