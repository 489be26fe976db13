"""Dead letters by the way in which they failed."""

from __future__ import annotations

from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.servers import Server


def test_what_0_1_0_wrote_has_a_fingerprint_too(server: Server, stream: str, old_letters: list[str]) -> None:
    with Admin(server.url, stream) as admin:
        found = admin.fingerprints()

        assert (found.seen, found.complete) == (121, True)
        first, last = found.groups
        assert (first.count, first.group, first.error) == (120, "", "no such user")
        assert first.sample_id == old_letters[119]
        assert last.count == 1
        selected = list(admin.dead_letters(fingerprint=first.fingerprint))
        assert [letter.id for letter in selected] == old_letters[:120]
        some = admin.fingerprints(DeadLetterFilter(reason="malformed"), scan=100)
        assert (some.seen, some.complete) == (100, False)
        assert [each.count for each in some.groups] == [1]
