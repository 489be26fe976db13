"""What was delivered to a group and is not settled."""

from __future__ import annotations

from typing import Any

import pytest

from streamix_queue import ConfigError
from streamix_queue.admin import Inspector
from streamix_queue.core.keys import Keys


def ids(inspector: Inspector, **options: Any) -> list[tuple[str | None, str]]:
    page = inspector.pending("billing", **options)
    return [(entry.event, entry.id) for entry in page.entries]


SHARED = [(None, f"{n}-0") for n in range(1, 6)]
INBOX = [("order.placed", f"{n}-0") for n in (1, 2)]


def test_the_stream_comes_first_and_then_the_inboxes(inspector: Inspector, filled: Keys) -> None:
    page = inspector.pending("billing")

    assert [(entry.event, entry.id) for entry in page.entries] == SHARED + INBOX
    assert [entry.consumer for entry in page.entries] == ["w1"] * 3 + ["w2"] * 2 + ["w1"] * 2
    assert {entry.deliveries for entry in page.entries} == {1}
    assert (page.more, page.complete) == (False, True)


def test_event_member_and_idle_time_select(inspector: Inspector, filled: Keys) -> None:
    assert ids(inspector, event="order.placed") == INBOX
    assert ids(inspector, consumer="w2") == SHARED[3:]
    assert ids(inspector, min_idle_ms=3_600_000) == []
    assert ids(inspector, event="other") == []


def test_a_page_tells_that_there_is_more(inspector: Inspector, filled: Keys) -> None:
    assert ids(inspector, limit=6) == (SHARED + INBOX)[:6]
    assert inspector.pending("billing", limit=6).more
    assert not inspector.pending("billing", limit=7).more


def test_a_page_tells_that_not_everything_was_looked_at(inspector: Inspector, filled: Keys) -> None:
    page = inspector.pending("billing", scan=4)

    assert [entry.id for entry in page.entries] == ["1-0", "2-0", "3-0", "4-0", "1-0", "2-0"]
    assert not page.complete


@pytest.mark.parametrize("option", ["min_idle_ms", "limit", "scan"])
def test_an_option_out_of_range_is_named(inspector: Inspector, option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        inspector.pending("billing", **{option: -1})  # type: ignore[arg-type]
