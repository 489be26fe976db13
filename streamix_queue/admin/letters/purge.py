"""Removes dead letters for good, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from streamix_queue.admin.letters.entry import DeadLetterEntry
from streamix_queue.broker.redis.operator.entries import Entries

__all__ = ["PurgeReport", "purge_letters"]

_BATCH = 100


@dataclass
class PurgeReport:
    """What `Admin.purge` did.

    Attributes:
        removed: How many letters went; with ``dry_run`` how many would.
        counts: (event, group) → how many were selected.
        last_id: Id of the newest one, ``""`` if there is none.
        dry_run: Nothing was removed.
    """

    removed: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    last_id: str = ""
    dry_run: bool = False


def purge_letters(
    entries: Entries,
    key: bytes,
    letters: Iterable[DeadLetterEntry],
    report: PurgeReport,
    progress: Callable[[int], None] | None,
) -> None:
    """Remove ``letters``, oldest first; ``report`` is true after each batch."""
    for batch in _batches(iter(letters)):
        ids = [letter.id.encode() for letter in batch]
        # Fewer than were asked for if somebody else replayed or removed one meanwhile.
        gone = len(ids) if report.dry_run else entries.remove(key, ids)
        report.removed += gone
        report.counts.update((letter.event, letter.group) for letter in batch)
        report.last_id = batch[-1].id
        if progress is not None:
            progress(gone)


def _batches(letters: Iterator[DeadLetterEntry]) -> Iterator[list[DeadLetterEntry]]:
    while batch := list(islice(letters, _BATCH)):
        yield batch
