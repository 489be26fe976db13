"""`Admin`: an operator's work on the dead letters of one stream."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from streamix_queue.admin.audit import audit
from streamix_queue.admin.letters.entry import DeadLetterEntry
from streamix_queue.admin.letters.export import exported
from streamix_queue.admin.letters.filter import DeadLetterFilter
from streamix_queue.admin.letters.fingerprints import Fingerprints, grouped
from streamix_queue.admin.letters.purge import PurgeReport, purge_letters
from streamix_queue.admin.letters.reader import LetterReader
from streamix_queue.admin.letters.replay import Sender
from streamix_queue.admin.letters.replay_report import Progress, ReplayInterrupted, ReplayReport
from streamix_queue.admin.stream_client import StreamClient
from streamix_queue.composition import admin_telemetry
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number
from streamix_queue.core.entry_ids import looks_like_entry_id
from streamix_queue.core.errors import BrokerUnavailable, ConfigError, OutOfMemory
from streamix_queue.core.facts import Observer, ReplayInterceptor
from streamix_queue.core.replay import DEFAULT_MAX_REPLAYS, Edit, ReplayRequest, ReplayRun
from streamix_queue.telling.interceptors import enter_all, leave_all
from streamix_queue.telling.observers import fan_out

__all__ = ["Admin"]

DEFAULT_SCAN = 10_000


class Admin(StreamClient):
    """Operations on the dead letters of one stream. Not thread-safe: one for each thread.

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
        super().__init__(redis_url, stream, timeout_ms=timeout_ms)
        self._letters = LetterReader(self._operator.entries, self._keys.failed)
        self._redis_url = redis_url
        self._telemetry: tuple[list[Observer], list[ReplayInterceptor]] | None = None

    def groups(self) -> list[str]:
        """Names of the stream's consumer groups. Raises `BrokerError`."""
        return self._group_names()

    def count_dead_letters(self) -> int:
        """How many dead letters there are, of all groups. Raises `BrokerError`."""
        return self._operator.entries.count(self._keys.failed)

    def dead_letters(
        self,
        *,
        group: str | None = None,
        event: str | None = None,
        reason: str | None = None,
        fingerprint: str | None = None,
        failed_after: datetime | None = None,
        failed_before: datetime | None = None,
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
            fingerprint: Those that failed in this way, see `fingerprints`.
            failed_after: Those that were written at this moment or later, by Redis' clock.
            failed_before: Those that were written before it.
            limit: At most so many.
            newest_first: The other way round.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        which = DeadLetterFilter(group, event, reason, fingerprint, failed_after, failed_before)
        _check_limit(limit)
        return self._letters.select(which, limit, newest_first=newest_first)

    def dead_letter(self, letter_id: str) -> DeadLetterEntry | None:
        """The dead letter with this id; None if there is none (any more).

        Raises:
            ConfigError: that can be no id.
            BrokerError: Redis cannot be reached or refuses.
        """
        return self._letters.one(_checked_ids([letter_id])[0])

    def fingerprints(
        self, which: DeadLetterFilter | None = None, *, scan: int = DEFAULT_SCAN
    ) -> Fingerprints:
        """The dead letters by the way in which they failed, the most frequent first.

        Args:
            which: Of these; None is all of them.
            scan: Look at the newest so many, whether they are meant or not.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        number("scan", scan, 1, 2**53)
        seen = 0
        newest = self._letters.select(DeadLetterFilter(), scan + 1, newest_first=True)

        def meant() -> Iterator[DeadLetterEntry]:
            nonlocal seen
            for letter in islice(newest, scan):
                seen += 1
                if which is None or which.matches(letter):
                    yield letter

        groups = grouped(meant())
        return Fingerprints(groups, seen, complete=next(newest, None) is None)

    def export(
        self, which: DeadLetterFilter | None = None, *, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Dead letters whole, as data for JSON, oldest first; read as they are taken.

        Each has what `DeadLetterEntry` tells, the payload as ``data`` (None if it cannot be
        decoded), and under ``fields`` the entry as it is in Redis: a list of [name, value], each
        text, or ``{"base64": ...}`` where it is no UTF-8. `fields_of` makes it bytes again.

        Args:
            which: Of these; None is all of them.
            limit: The oldest so many.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        _check_limit(limit)
        return map(exported, self._letters.select(which or DeadLetterFilter(), limit))

    def purge(
        self,
        which: DeadLetterFilter,
        *,
        limit: int | None = None,
        up_to: str | None = None,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> PurgeReport:
        """Remove dead letters for good, oldest first and in batches. Letters written later stay.

        May be interrupted at any time, and run again. States one line in the log.

        Args:
            which: ``DeadLetterFilter()`` is all of them.
            limit: The oldest so many.
            up_to: None that came after the letter with this id: the ``last_id`` of a dry run.
            dry_run: Only count.
            progress: Called with the number of letters that each batch removed.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses; what went before is gone.
        """
        _check_limit(limit)
        if up_to is not None:
            _checked_ids([up_to])
        report = PurgeReport(dry_run=dry_run)
        try:
            letters = self._letters.select(which, limit, up_to=up_to)
            purge_letters(self._operator.entries, self._keys.failed, letters, report, progress)
        finally:
            if not dry_run:
                audit("purged dead letters", self._stream, which, removed=report.removed)
        return report

    def replay(
        self,
        which: DeadLetterFilter | Iterable[str],
        *,
        group: str | None = None,
        limit: int | None = None,
        dry_run: bool = False,
        unhandled: bool = False,
        rate: float | None = None,
        max_replays: int = DEFAULT_MAX_REPLAYS,
        edit: Edit | None = None,
        canary: int = 0,
        canary_timeout_ms: int = 60_000,
        progress: Progress | None = None,
    ) -> ReplayReport:
        """Send dead letters back to the group in which they failed, and to no other.

        The message keeps its id, payload and trace fields, and starts with ``retries`` 0. A
        letter leaves the dead-letter stream in the same step in which the message enters the
        group's inbox. So a replay that is interrupted and run again replays nothing twice and
        forgets nothing. Letters that are written while it runs are not its own. Each run that is
        no dry run states one line in the log: who, what and how many.

        Args:
            which: Ids of dead letters, or a filter: ``DeadLetterFilter()`` is all of them.
            group: Where those failed that name no group, as 0.1.0 wrote them. A letter that
                names another group is refused.
            limit: Of what a filter selects, the oldest so many.
            dry_run: Only tell what would be done.
            unhandled: Also replay what no member of the group is known to handle; it waits
                for one. A member counts for 7 days after its last sign of life.
            rate: So many per second; None for as fast as it goes.
            max_replays: Refuse what was replayed so often before and failed again each time.
            edit: Makes the payload another one; what it returns is checked as `publish` does,
                and refused if it cannot be published.
            canary: Replay so many, wait until each has ended in its group, and go on only if none
                of them failed again; ``stopped`` of the report tells. 0 for none.
            canary_timeout_ms: How long they may take for that, ms; after it they count as failed.
            progress: Called for each letter as it is done.

        Returns:
            What was replayed, and what was not and why.

        Raises:
            ConfigError: an argument is out of range.
            ReplayInterrupted: Redis went away; holds the report so far.
            BrokerError: Redis refuses.
        """
        request = ReplayRequest(
            group=group,
            limit=limit,
            dry_run=dry_run,
            unhandled=unhandled,
            rate=rate,
            max_replays=max_replays,
            edit=edit,
            canary=canary,
            canary_timeout_ms=canary_timeout_ms,
        )
        if not isinstance(which, DeadLetterFilter):
            which = _checked_ids(which)
        return self._replay(which, request, progress)

    def _replay(
        self, which: DeadLetterFilter | list[str], request: ReplayRequest, progress: Progress | None
    ) -> ReplayReport:
        report = ReplayReport(dry_run=request.dry_run)
        observers, interceptors = ([], []) if request.dry_run else self._observed()
        sender = Sender(
            self._operator,
            self._stream,
            request,
            report,
            progress=progress,
            patience_s=self._timeout_s,
            interceptors=interceptors,
            notice=fan_out(observers),
        )
        run = ReplayRun()
        scopes = enter_all([each.replaying for each in interceptors], run)
        try:
            sender.send_all(self._meant(which, request.limit))
        except (BrokerUnavailable, OutOfMemory) as error:
            raise ReplayInterrupted(str(error), report) from None
        finally:
            run.count = len(report.replayed)
            leave_all(scopes, sys.exc_info())
            if not request.dry_run:
                audit("replayed dead letters", self._stream, which, **report.counts())
        return report

    def _meant(
        self, which: DeadLetterFilter | list[str], limit: int | None
    ) -> Iterable[DeadLetterEntry | str]:
        """The letters, read as they are taken; the id of one that is not there."""
        if isinstance(which, DeadLetterFilter):
            return self._letters.select(which, limit)
        return (self._letters.one(letter_id) or letter_id for letter_id in which)

    def _observed(self) -> tuple[list[Observer], list[ReplayInterceptor]]:
        # Loaded by the first replay: it takes longer than everything that a look loads.
        if self._telemetry is None:
            self._telemetry = admin_telemetry(self._redis_url, self._stream)
        return self._telemetry


def _check_limit(limit: int | None) -> None:
    if limit is not None:
        number("limit", limit, 0, 2**53)


def _checked_ids(ids: Iterable[object]) -> list[str]:
    checked: list[str] = []
    for letter_id in [ids] if isinstance(ids, str) else ids:
        if not isinstance(letter_id, str) or not looks_like_entry_id(letter_id):
            raise ConfigError(f"{letter_id!r}: expected the id of a dead letter, such as '1713982500001-0'")
        checked.append(letter_id)
    return checked
