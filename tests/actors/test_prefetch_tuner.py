"""How much the fetcher holds follows the sizes that it has seen."""

from __future__ import annotations

from streamix_queue.actors.prefetch_tuner import PrefetchTuner
from streamix_queue.core.entry import Entry
from streamix_queue.runtime import Credits
from tests.held.hall import entry

_BIG = 1024 * 1024


def _entries(*sizes: int) -> list[Entry]:
    return [entry(fields=[b"message", bytes(size)]) for size in sizes]


def test_a_big_entry_behind_a_small_one_counts_at_once() -> None:
    """Fails when only the first entry of a reply is looked at, or when growth is averaged away."""
    credits_ = Credits(10)
    prefetch = PrefetchTuner(credits_, 1, None)
    prefetch.saw(_entries(200, 200))
    prefetch.adjust(1e-6)
    assert credits_.limit == 4096

    prefetch.saw(_entries(200, 2 * _BIG - 300))
    prefetch.adjust(1e-6)
    assert credits_.limit == 16


def test_a_trace_context_behind_a_big_message_does_not_hide_it() -> None:
    """Fails when the last field is taken for the message, as it is only while nobody traces."""
    credits_ = Credits(10)
    prefetch = PrefetchTuner(credits_, 1, None)
    fields = [b"message", bytes(_BIG), b"traceparent", b"00-" + b"a" * 52]
    prefetch.saw([entry(fields=fields)])
    prefetch.adjust(1e-6)

    assert credits_.limit == 15


def test_smaller_entries_raise_the_number_little_by_little() -> None:
    credits_ = Credits(10)
    prefetch = PrefetchTuner(credits_, 1, None)
    prefetch.saw(_entries(_BIG))
    for _ in range(3):
        prefetch.saw(_entries(200))
    prefetch.adjust(1e-6)

    assert 16 < credits_.limit < 64
