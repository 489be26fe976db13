"""Dead letters as data, and back."""

from __future__ import annotations

from streamix_queue.admin import Admin, fields_of
from tests.support.servers import Server


def test_an_export_is_read_back_byte_for_byte(server: Server, stream: str, old_letters: list[str]) -> None:
    with Admin(server.url, stream) as admin:
        letters = {letter.id: letter for letter in admin.dead_letters()}
        exported = list(admin.export())

    assert [each["id"] for each in exported] == old_letters
    assert all(tuple(fields_of(each)) == letters[each["id"]].fields for each in exported)
