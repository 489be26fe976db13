"""Sends dead letters back to their groups one by one, and reports what became of each."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone

from streamix_queue.admin.letters.canary import Canary
from streamix_queue.admin.letters.entry import DeadLetterEntry
from streamix_queue.admin.letters.pace import Pace
from streamix_queue.admin.letters.replay_report import Progress, Refused, Replayed, ReplayReport
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.broker.redis.operator.letters import NotMoved
from streamix_queue.core.backoff import Backoff
from streamix_queue.core.errors import BrokerRefused, BrokerUnavailable, NotReplayable, WrongKeyType
from streamix_queue.core.facts import DeadLetterReplayed, ReplayInterceptor
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.replay import InboxEntry, ReplayRequest, Resend, inbox_entry
from streamix_queue.telling.interceptors import enter_all, leave_all

__all__ = ["Sender"]

_BACKOFF = Backoff(base_ms=50, maximum_ms=1000, jitter=0.5)
"""Between the attempts to write one letter when Redis cannot be reached."""


class Sender:
    """Sends the letters of one replay. Owned by one thread.

    Args:
        operator: Not closed by this.
        stream: Name of the stream.
        request: What is to be replayed, and how.
        report: Filled letter by letter.
        progress: Told of each letter as it is done.
        patience_s: How long to ask again when Redis cannot be reached, in seconds.
        interceptors: Surround each letter.
        notice: Told of each that was replayed.
    """

    def __init__(
        self,
        operator: RedisOperator,
        stream: str,
        request: ReplayRequest,
        report: ReplayReport,
        *,
        progress: Progress | None,
        patience_s: float,
        interceptors: Sequence[ReplayInterceptor] = (),
        notice: Callable[[DeadLetterReplayed], None] = lambda _: None,
    ) -> None:
        self._operator = operator
        self._stream = stream
        self._request = request
        self._report = report
        self._progress = progress
        self._patience_s = patience_s
        self._pace = Pace(None if request.dry_run else request.rate)
        self._groups: list[str] | None = None
        # What is only tried is in nobody's trace.
        self._openers = [] if request.dry_run else [each.resending for each in interceptors]
        self._notice = notice

    def send_all(self, letters: Iterable[DeadLetterEntry | str]) -> None:
        """Send each letter; a ``str`` is the id of one that is not there.

        Stops after the canaries of the request if one of them failed; the report says why.
        """
        request, report = self._request, self._report
        watched = 0 if request.dry_run else request.canary
        canary = Canary(self._operator, self._stream, watched, request.canary_timeout_ms / 1000)
        for letter in letters:
            if isinstance(letter, str):
                self._note(letter)
                continue
            resend = Resend(letter.fields)
            done = self._send(letter, resend)
            if isinstance(done, Replayed):
                canary.add(done, resend.entry_id)
            if canary.complete:
                report.stopped = canary.verdict()
                if report.stopped:
                    return
        report.stopped = canary.verdict()

    def _send(self, letter: DeadLetterEntry, resend: Resend) -> Replayed | Refused | str:
        scopes = enter_all(self._openers, resend)
        try:
            done = self._move(letter, resend)
            self._note(done)
        finally:
            leave_all(scopes, sys.exc_info())
        return done

    def _move(self, letter: DeadLetterEntry, resend: Resend) -> Replayed | Refused | str:
        """What became of it; its id alone if it is not there (any more)."""
        request, now = self._request, datetime.now(timezone.utc).isoformat()
        try:
            self._refuse_loop(letter)
            entry = inbox_entry(
                letter.fields, group=request.group, now=now, previous=resend.previous, edit=request.edit
            )
            self._refuse_unknown(entry.group)
            self._pace.wait()
            answer = None if request.dry_run else self._write(letter.id, entry)
        except (NotReplayable, WrongKeyType, BrokerRefused) as error:
            return Refused(letter.id, str(error))
        event = entry.message.event
        if answer is NotMoved.GONE:
            return letter.id
        if answer is NotMoved.UNHANDLED:
            return Refused(
                letter.id,
                f"no member of group {entry.group!r} handles {event!r}: start one that does, or ask for "
                "unhandled ones as well",
            )
        if not request.dry_run:
            resend.inbox_entry, resend.entry_id = entry, answer
            self._notice(DeadLetterReplayed(self._stream, entry.group, event))
        return Replayed(letter.id, entry.message.id, event, entry.group)

    def _note(self, done: Replayed | Refused | str) -> None:
        report = self._report
        if isinstance(done, Replayed):
            report.replayed.append(done)
        elif isinstance(done, Refused):
            report.refused.append(done)
        else:
            report.missing.append(done)
        if self._progress is not None:
            self._progress(done)

    def _refuse_loop(self, letter: DeadLetterEntry) -> None:
        """A message that fails after each replay would go round for ever."""
        most = self._request.max_replays
        if letter.replays >= most:
            times = "once" if letter.replays == 1 else f"{letter.replays} times"
            raise NotReplayable(f"it was replayed {times} and failed again (max_replays={most})")

    def _refuse_unknown(self, group: str) -> None:
        """Nobody would ever read what goes to a group that is not there."""
        if self._groups is None:
            found = self._operator.groups.all(self._stream.encode())
            self._groups = [as_text(each.name) for each in found]
        if group not in self._groups:
            known = ", ".join(map(repr, self._groups)) or "none"
            raise NotReplayable(f"stream {self._stream!r} has no group {group!r} (its groups: {known})")

    def _write(self, letter_id: str, entry: InboxEntry) -> bytes | NotMoved | None:
        """The id of the new entry, None if the reply that told it was lost; or why there is none."""
        keys = Keys(self._stream, entry.group)
        deadline, failures = time.monotonic() + self._patience_s, 0
        while True:
            try:
                answer = self._operator.letters.replay(
                    keys,
                    letter_id.encode(),
                    entry.message.event,
                    entry.fields,
                    always=self._request.unhandled,
                )
            except BrokerUnavailable:
                failures += 1
                pause_s = _BACKOFF.delay_ms(failures, random.random()) / 1000  # noqa: S311 - jitter
                if time.monotonic() + pause_s > deadline:
                    raise
                time.sleep(pause_s)
            else:
                # Gone after a request whose reply was lost: it was that request that moved it.
                return None if answer is NotMoved.GONE and failures else answer
