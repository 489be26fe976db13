"""Reading dead letters page by page."""

from __future__ import annotations

from typing import Any

from streamix_queue.admin import Admin
from tests.admin.services import EVENT, letter_of_0_1_0
from tests.support.servers import Server


def test_letters_are_selected_and_ordered_over_many_pages(any_server: Server, stream: str) -> None:
    client = any_server.client()
    ids = [letter_of_0_1_0(client, stream, f"{n}-0", {"n": n}) for n in range(130)]
    with Admin(any_server.url, stream) as admin:
        assert [letter.id for letter in admin.dead_letters()] == ids
        assert [letter.id for letter in admin.dead_letters(newest_first=True)] == ids[::-1]
        assert [letter.id for letter in admin.dead_letters(limit=70)] == ids[:70]
        assert [letter.id for letter in admin.dead_letters(limit=70, newest_first=True)] == ids[:59:-1]
        assert [letter.id for letter in admin.dead_letters(group="", event=EVENT)] == ids
        assert list(admin.dead_letters(group="billing")) == []
        assert list(admin.dead_letters(event="other")) == []
        assert list(admin.dead_letters(reason="crash")) == []
        assert list(admin.dead_letters(limit=0)) == []


def test_no_more_is_read_than_is_taken(any_server: Server, stream: str) -> None:
    client = any_server.client()
    for n in range(400):
        letter_of_0_1_0(client, stream, f"{n}-0", {})

    def calls() -> int:
        stats: Any = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("xrange", "xrevrange"))

    with Admin(any_server.url, stream) as admin:
        before = calls()
        assert len(list(admin.dead_letters(limit=10))) == 10

        assert calls() - before <= 2
