"""`Admin`: what an operator can do to one stream."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType

from streamix_queue.actors.observing import fan_out
from streamix_queue.actors.surround import enter_all, leave_all
from streamix_queue.admin.dead_letters import DeadLetterEntry, DeadLetterFilter, read_entry
from streamix_queue.admin.replays import Progress, Replayer, ReplayInterrupted, ReplayReport
from streamix_queue.broker.protocol import Entry
from streamix_queue.composition import admin_telemetry, redis_admin_broker
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number, text
from streamix_queue.core.errors import BrokerUnavailable, ConfigError, OutOfMemory
from streamix_queue.core.keys import dead_letter_key
from streamix_queue.core.replay import ReplayRun

__all__ = ["Admin"]

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}\Z")
_PAGE = 50
"""Entries per read. A letter may hold a megabyte, so a page is not to be much larger."""


class Admin:
    """Operations on one stream. Not thread-safe: one for each thread.

    Every read is bounded, whatever the size of the stream. May be used as a context manager.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream, not its dead-letter stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self, redis_url: str = DEFAULT_REDIS_URL, stream: str = DEFAULT_STREAM, *, timeout_ms: int = 5000
    ) -> None:
        text("redis_url", redis_url)
        text("stream", stream)
        number("timeout_ms", timeout_ms, 1, 600_000, unit="ms")
        self._stream = stream
        self._failed = dead_letter_key(stream).encode()
        self._timeout_s = timeout_ms / 1000
        self._broker = redis_admin_broker(redis_url, self._timeout_s)
        observers, self._interceptors = admin_telemetry(redis_url, stream)
        self._notice = fan_out(observers)

    def groups(self) -> list[str]:
        """Names of the stream's consumer groups. Raises `BrokerError`."""
        return [name.decode(errors="replace") for name in self._broker.groups(self._stream.encode())]

    def count_dead_letters(self) -> int:
        """How many dead letters there are, of all groups. Raises `BrokerError`."""
        return self._broker.length(self._failed)

    def dead_letters(
        self,
        *,
        group: str | None = None,
        event: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[DeadLetterEntry]:
        """The dead letters that are there at the first read, oldest first.

        They are read page by page as they are taken: stop when you have enough. An entry that
        is no dead letter at all is among them, with the reason ``malformed``.

        Args:
            group: Those of this consumer group; ``""`` for those that name none (0.1.0's).
            event: Those of this event.
            reason: Those with this reason.
            limit: At most so many.
            newest_first: The other way round.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        which = DeadLetterFilter(group, event, reason)
        _check_limit(limit)
        return self._select(which, limit, newest_first=newest_first)

    def replay(
        self,
        which: DeadLetterFilter | Iterable[str],
        *,
        group: str | None = None,
        limit: int | None = None,
        dry_run: bool = False,
        unhandled: bool = False,
        progress: Progress | None = None,
    ) -> ReplayReport:
        """Send dead letters back to the group in which they failed, and to no other.

        The message keeps its id, payload and trace fields, and starts with ``retries`` 0. A
        letter leaves the dead-letter stream in the same step in which the message enters the
        group's inbox. So a replay that is interrupted and run again replays nothing twice and
        forgets nothing. Letters that are written while it runs are not its own.

        Args:
            which: Ids of dead letters, or a filter: ``DeadLetterFilter()`` is all of them.
            group: Where those failed that name no group, as 0.1.0 wrote them. A letter that
                names another group is refused.
            limit: Of what a filter selects, the oldest so many.
            dry_run: Only tell what would be done.
            unhandled: Also replay what no member of the group is known to handle; it waits
                for one. A member counts for 7 days after its last sign of life.
            progress: Called for each letter as it is done.

        Returns:
            What was replayed, and what was not and why.

        Raises:
            ConfigError: an argument is out of range.
            ReplayInterrupted: Redis went away; holds the report so far.
            BrokerError: Redis refuses.
        """
        _check_limit(limit)
        if group is not None:
            text("group", group)
        ids = [] if isinstance(which, DeadLetterFilter) else _checked_ids(which)
        report = ReplayReport(dry_run=dry_run)
        replayer = Replayer(
            self._broker,
            self._stream,
            report,
            progress=progress,
            group=group,
            unhandled=unhandled,
            patience_s=self._timeout_s,
            interceptors=self._interceptors,
            notice=self._notice,
        )
        run = ReplayRun()
        scopes = None if dry_run else enter_all([each.replaying for each in self._interceptors], run)
        try:
            if isinstance(which, DeadLetterFilter):
                for entry in self._select(which, limit, newest_first=False):
                    replayer.replay(entry)
            for letter_id in ids:
                found = self._one(letter_id)
                if found is None:
                    replayer.missing(letter_id)
                else:
                    replayer.replay(found)
        except (BrokerUnavailable, OutOfMemory) as error:
            raise ReplayInterrupted(str(error), report) from None
        finally:
            run.count = len(report.replayed)
            leave_all(scopes, sys.exc_info())
        return report

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._broker.close()

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _one(self, letter_id: str) -> DeadLetterEntry | None:
        bound = letter_id.encode()
        page = self._broker.oldest(self._failed, bound, bound, 1)
        return _read(page[0]) if page else None

    def _select(
        self, which: DeadLetterFilter, limit: int | None, *, newest_first: bool
    ) -> Iterator[DeadLetterEntry]:
        last = self._broker.last_id(self._failed)
        if last is None or limit == 0:
            return
        position, selected = last if newest_first else b"-", 0
        while True:
            if newest_first:
                page = self._broker.newest(self._failed, position, _PAGE)
            else:
                # Not beyond what was the end: a replay would run after the letters of its own failures.
                page = self._broker.oldest(self._failed, position, last, _PAGE)
            for entry in filter(which.matches, map(_read, page)):
                yield entry
                selected += 1
                if selected == limit:
                    return
            if len(page) < _PAGE:
                return
            position = b"(" + page[-1][0]


def _read(entry: Entry) -> DeadLetterEntry:
    entry_id, fields = entry
    return read_entry(entry_id, fields or ())


def _check_limit(limit: int | None) -> None:
    if limit is not None:
        number("limit", limit, 0, 2**53)


def _checked_ids(ids: Iterable[object]) -> list[str]:
    checked: list[str] = []
    for letter_id in [ids] if isinstance(ids, str) else ids:
        if not isinstance(letter_id, str) or not _ENTRY_ID.match(letter_id):
            raise ConfigError(f"{letter_id!r}: expected the id of a dead letter, such as '1713982500001-0'")
        checked.append(letter_id)
    return checked
