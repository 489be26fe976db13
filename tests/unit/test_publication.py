"""A publish on its way."""

from __future__ import annotations

import pytest

from streamix_queue.core.errors import OutOfMemory
from streamix_queue.core.publication import Publication


def test_what_is_written_behind_a_refusal_counts_as_written() -> None:
    """Redis carries out each command of a round trip by itself; memory may have become free."""
    written: list[int] = []
    publication = Publication("app.events", (), (), batch=True)

    with pytest.raises(OutOfMemory, match="first"):
        publication.confirm([b"1-0", OutOfMemory("first"), b"2-0", OutOfMemory("second")], 500, written)

    assert written == [500, 502]
    assert publication.entry_ids == [b"1-0"], "these are for the messages in order"
