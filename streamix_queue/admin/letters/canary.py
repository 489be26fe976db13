"""Whether the first letters of a replay ended well, seen from what Redis holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby

from streamix_queue.admin.letters.entry import read_entry
from streamix_queue.admin.letters.replay_report import Replayed
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.delayed import read_delayed
from streamix_queue.core.errors import Malformed
from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import decode, envelope_of

__all__ = ["Canary"]

_PAGE = 100
_MOST = 10_000
"""Entries of an inbox, or waiting retries, that are looked through: a look stays bounded."""
_BETWEEN_LOOKS_S = 0.1


class Canary:
    """Watches replayed messages until each has ended in its group. Owned by one thread.

    A message has ended when it is neither in the group's inbox nor among its waiting retries: it
    was settled, unless it has a new dead letter. From the one place to the other it moves in one
    step, so that it may be missed in both by one look, and not by two.

    Args:
        operator: Not closed by this.
        stream: Name of the stream.
        count: How many messages to watch; 0 for none.
        timeout_s: How long all of them may take together, in seconds.
    """

    def __init__(self, operator: RedisOperator, stream: str, count: int, timeout_s: float) -> None:
        self._entries = operator.entries
        self._retries = operator.retries
        self._stream = stream
        self._count = count
        self._timeout_s = timeout_s
        self._failed = Keys(stream, "").failed
        self._watched: list[Replayed] = []
        self._first_entries: dict[tuple[str, str], bytes] = {}
        # A letter that is written from now on is a new one.
        self._position = (operator.entries.last_id(self._failed) or b"0-0") if count else b""
        self._letters: set[tuple[str, str]] = set()
        self._judged = False

    def add(self, done: Replayed, entry_id: bytes | None) -> None:
        """Watch this one, too, unless there are enough; ``entry_id`` is where it begins."""
        if len(self._watched) < self._count:
            self._watched.append(done)
            self._first_entries.setdefault((done.group, done.event), entry_id or b"-")

    @property
    def complete(self) -> bool:
        """There are enough, and they wait for their verdict."""
        return not self._judged and bool(self._count) and len(self._watched) == self._count

    def verdict(self) -> str:
        """Wait for the end of each; why the replay is to stop, ``""`` if all of them went well.

        Only the first time: later it is ``""``.
        """
        if self._judged:
            return ""
        self._judged = True
        waiting, deadline, absent_before = self._watched, time.monotonic() + self._timeout_s, False
        while waiting:
            present = self._present()
            absent = [each for each in waiting if (each.group, each.message_id) not in present]
            # After the look, for a message gets its letter in the step in which it leaves.
            self._read_new_letters()
            again = [each.message_id for each in waiting if (each.group, each.message_id) in self._letters]
            if again:
                return f"{len(again)} of {len(self._watched)} failed again: {', '.join(again[:3])}"
            if len(absent) == len(waiting) and absent_before:
                return ""
            absent_before = len(absent) == len(waiting)
            if time.monotonic() > deadline:
                left = len(waiting) - len(absent)
                return f"{left} of {len(self._watched)} had not ended after {self._timeout_s:g} s"
            time.sleep(_BETWEEN_LOOKS_S)
        return ""

    def _present(self) -> set[tuple[str, str]]:
        """(group, message id) of what is in the inboxes or waits for a retry."""
        found: set[tuple[str, str]] = set()
        for group, of_group in groupby(sorted(self._first_entries), key=lambda each: each[0]):
            keys, events = Keys(self._stream, group), [event for _, event in of_group]
            # Inboxes twice: a retry that falls due between the reads is in the second.
            for _ in range(2):
                for event in events:
                    found.update((group, each) for each in self._in_inbox(keys, group, event))
                found.update((group, each) for each in self._delayed(keys))
        return found

    def _in_inbox(self, keys: Keys, group: str, event: str) -> Iterator[str]:
        low = self._first_entries[group, event]
        for _ in range(_MOST // _PAGE):
            page = self._entries.oldest(keys.inbox(event), _PAGE, low=low)
            for _, fields in page:
                raw, _, _ = envelope_of(fields or ())
                try:
                    yield decode(raw or b"").id
                except Malformed:
                    continue
            if len(page) < _PAGE:
                return
            low = b"(" + page[-1][0]
        yield from self._unknown(group)

    def _delayed(self, keys: Keys) -> Iterator[str]:
        for start in range(0, _MOST, _PAGE):
            members = self._retries.members(keys, start, _PAGE)
            yield from (read_delayed(member, 0).message_id for member in members)
            if len(members) < _PAGE:
                return
        yield from self._unknown(keys.group_name)

    def _unknown(self, group: str) -> Iterator[str]:
        """Where not everything was looked through, nothing is known to have ended."""
        return (each.message_id for each in self._watched if each.group == group)

    def _read_new_letters(self) -> None:
        while page := self._entries.oldest(self._failed, _PAGE, low=b"(" + self._position):
            for entry_id, fields in page:
                letter = read_entry(entry_id, fields or ())
                self._letters.add((letter.group, letter.message_id))
            self._position = page[-1][0]
