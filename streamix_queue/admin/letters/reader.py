"""Reads the dead-letter stream page by page, up to the letter that is the newest at the first read."""

from __future__ import annotations

from collections.abc import Iterator

from streamix_queue.admin.letters.entry import DeadLetterEntry, read_entry
from streamix_queue.admin.letters.filter import DeadLetterFilter
from streamix_queue.broker.protocol import Entry
from streamix_queue.broker.redis.operator.entries import Entries
from streamix_queue.core.entry_ids import id_order

__all__ = ["LetterReader"]

_PAGE = 50
"""Entries per read. A letter may hold a megabyte, so a page is not to be much larger."""
_MAX_SEQUENCE = (1 << 64) - 1


class LetterReader:
    """Dead letters of one stream, one bounded read after the other.

    Args:
        entries: Of the server.
        key: The dead-letter stream.
    """

    def __init__(self, entries: Entries, key: bytes) -> None:
        self._entries = entries
        self._key = key

    def one(self, letter_id: str) -> DeadLetterEntry | None:
        """The letter with this id, None if there is none."""
        bound = letter_id.encode()
        page = self._entries.oldest(self._key, 1, low=bound, high=bound)
        return _read(page[0]) if page else None

    def select(
        self,
        which: DeadLetterFilter,
        limit: int | None = None,
        *,
        newest_first: bool = False,
        up_to: str | None = None,
    ) -> Iterator[DeadLetterEntry]:
        """What ``which`` selects of the letters that are there at the first read.

        Args:
            which: Those that are meant.
            limit: At most so many.
            newest_first: The other way round.
            up_to: None that came after the letter with this id.
        """
        newest = self._entries.last_id(self._key)
        if newest is None or limit == 0:
            return
        # Not beyond what was the end: a replay would run after the letters of its own failures.
        low, high = _bounds(which, newest if up_to is None else min(newest, up_to.encode(), key=id_order))
        selected = 0
        while True:
            if newest_first:
                page = self._entries.newest(self._key, _PAGE, low=low, high=high)
                high = b"(" + page[-1][0] if page else high
            else:
                page = self._entries.oldest(self._key, _PAGE, low=low, high=high)
                low = b"(" + page[-1][0] if page else low
            for entry in filter(which.matches, map(_read, page)):
                yield entry
                selected += 1
                if selected == limit:
                    return
            if len(page) < _PAGE:
                return


def _bounds(which: DeadLetterFilter, last: bytes) -> tuple[bytes, bytes]:
    end_ms = which.end_ms()
    if end_ms is None or end_ms > id_order(last)[0]:
        return b"%d-0" % which.first_ms(), last
    # Up to the last id of the millisecond before; before 1970 there is none, and nothing below 0-1.
    return b"%d-0" % which.first_ms(), b"%d-%d" % (end_ms - 1, _MAX_SEQUENCE) if end_ms else b"0-0"


def _read(entry: Entry) -> DeadLetterEntry:
    entry_id, fields = entry
    return read_entry(entry_id, fields or ())
