"""Replaying dead letters one by one: each in one step, and each with an end that is told."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from streamix_queue.admin.dead_letters import DeadLetterEntry
from streamix_queue.admin.pacing import Pace
from streamix_queue.broker.redis.admin import RedisAdminBroker, ReplayAnswer
from streamix_queue.core.errors import BrokerRefused, BrokerUnavailable, NotReplayable, WrongKeyType
from streamix_queue.core.facts import DeadLetterReplayed, ReplayInterceptor
from streamix_queue.core.keys import Keys
from streamix_queue.core.replay import Edit, Replay, Resend, replay_of
from streamix_queue.telling.interceptors import enter_all, leave_all

__all__ = ["Progress", "Refused", "ReplayInterrupted", "ReplayReport", "Replayed", "Replayer"]


@dataclass(frozen=True)
class Replayed:
    """A dead letter that is on its way to its group again."""

    id: str
    message_id: str
    event: str
    group: str


@dataclass(frozen=True)
class Refused:
    """A dead letter that cannot be replayed, and why. It stays where it is."""

    id: str
    why: str


@dataclass
class ReplayReport:
    """What `Admin.replay` did.

    Attributes:
        replayed: Sent back (with ``dry_run``: would be).
        refused: Could not be.
        missing: Ids under which there is no dead letter: replayed before, removed, or mistyped.
        dry_run: True if nothing was written.
        stopped: Why it stopped before its end: a canary did not do well. ``""`` if it did not.
    """

    replayed: list[Replayed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    dry_run: bool = False
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """True if everything that was asked for was replayed."""
        return not self.refused and not self.missing and not self.stopped

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {
            "replayed": len(self.replayed),
            "refused": len(self.refused),
            "missing": len(self.missing),
        }


class ReplayInterrupted(BrokerUnavailable):
    """Redis went away, or is full, during a replay. Asked again, it goes on where it stopped.

    Attributes:
        report: What was done before. The letter after the last one may be replayed, too.
    """

    def __init__(self, text: str, report: ReplayReport) -> None:
        super().__init__(text)
        self.report = report


Progress = Callable[[Replayed | Refused | str], None]
"""Told of each letter as it is done; a ``str`` is the id of a missing one."""


class Replayer:
    """One call of `Admin.replay`: its options, and its report in the making.

    Args:
        broker: Not closed by this.
        stream: Name of the stream.
        report: Filled letter by letter.
        progress: Told of each.
        group: Where letters failed that name no group.
        unhandled: Also replay what nobody in the group is known to handle.
        pace: When the next one is due.
        max_replays: Refuse what was replayed so often before.
        edit: Makes the payload another one.
        patience_s: How long to ask again when replies are lost, in seconds.
        interceptors: Surround each letter.
        notice: Told of each that was replayed.
    """

    def __init__(
        self,
        broker: RedisAdminBroker,
        stream: str,
        report: ReplayReport,
        *,
        progress: Progress | None,
        group: str | None,
        unhandled: bool,
        pace: Pace,
        max_replays: int,
        edit: Edit | None,
        patience_s: float,
        interceptors: Sequence[ReplayInterceptor] = (),
        notice: Callable[[DeadLetterReplayed], None] = lambda _: None,
    ) -> None:
        self.report = report
        self._broker = broker
        self._stream = stream
        self._progress = progress
        self._group = group
        self._unhandled = unhandled
        self._pace = pace
        self._max_replays = max_replays
        self._edit = edit
        self._patience_s = patience_s
        self._groups: list[str] | None = None
        # What is only tried is in nobody's trace.
        self._openers = [] if report.dry_run else [each.resending for each in interceptors]
        self._notice = notice
        self.entry_id: bytes | None = None
        """Where the last letter that was replayed is now; None if the reply was lost."""

    def replay(self, entry: DeadLetterEntry) -> None:
        """Replay one letter; what became of it goes to the report."""
        resend = Resend(entry.fields)
        scopes = enter_all(self._openers, resend)
        try:
            self._replay(entry, resend)
        finally:
            leave_all(scopes, sys.exc_info())

    def _replay(self, entry: DeadLetterEntry, resend: Resend) -> None:
        now = datetime.now(timezone.utc).isoformat()
        try:
            self._refuse_loop(entry)
            replay = replay_of(
                entry.fields, group=self._group, now=now, previous=resend.previous, edit=self._edit
            )
            self._refuse_unknown(replay.group)
            self._pace.wait()
            answer = ReplayAnswer.DONE if self.report.dry_run else self._write(entry.id, replay)
        except (NotReplayable, WrongKeyType, BrokerRefused) as error:
            self._refused(entry.id, str(error))
            return
        if answer is ReplayAnswer.GONE:
            self.missing(entry.id)
        elif answer is ReplayAnswer.UNHANDLED:
            self._refused(
                entry.id,
                f"no member of group {replay.group!r} handles {replay.message.event!r}: start one that "
                "does, or ask for unhandled ones as well",
            )
        else:
            done = Replayed(entry.id, replay.message.id, replay.message.event, replay.group)
            self.report.replayed.append(done)
            if not self.report.dry_run:
                resend.replay, resend.entry_id = replay, self._broker.entry_id
                self.entry_id = self._broker.entry_id
                self._notice(DeadLetterReplayed(self._stream, replay.group, replay.message.event))
            self._tell(done)

    def missing(self, letter_id: str) -> None:
        """There is no such letter."""
        self.report.missing.append(letter_id)
        self._tell(letter_id)

    def _refused(self, letter_id: str, why: str) -> None:
        refusal = Refused(letter_id, why)
        self.report.refused.append(refusal)
        self._tell(refusal)

    def _tell(self, done: Replayed | Refused | str) -> None:
        if self._progress is not None:
            self._progress(done)

    def _refuse_loop(self, entry: DeadLetterEntry) -> None:
        """What fails each time goes round for ever, if nobody says that it does."""
        if entry.replays >= self._max_replays:
            times = "once" if entry.replays == 1 else f"{entry.replays} times"
            raise NotReplayable(f"it was replayed {times} and failed again (max_replays={self._max_replays})")

    def _refuse_unknown(self, group: str) -> None:
        """Nobody would ever read what goes to a group that is not there."""
        if self._groups is None:
            names = self._broker.groups(self._stream.encode())
            self._groups = [name.decode(errors="replace") for name in names]
        if group not in self._groups:
            known = ", ".join(map(repr, self._groups)) or "none"
            raise NotReplayable(f"stream {self._stream!r} has no group {group!r} (its groups: {known})")

    def _write(self, letter_id: str, replay: Replay) -> ReplayAnswer:
        keys, event = Keys(self._stream, replay.group), replay.message.event
        deadline, wait, asked_before = time.monotonic() + self._patience_s, 0.05, False
        while True:
            try:
                answer = self._broker.replay(
                    keys, letter_id.encode(), event, replay.fields, always=self._unhandled
                )
            except BrokerUnavailable:
                asked_before = True
                pause = wait * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                wait = min(wait * 2, 1.0)
            else:
                # Gone after a reply that was lost: it was that request that moved it.
                return ReplayAnswer.DONE if answer is ReplayAnswer.GONE and asked_before else answer
