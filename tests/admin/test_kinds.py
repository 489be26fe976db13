"""Dead letters by kind, whole, and gone, as an application asks for them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from streamix_queue.admin import Admin, DeadLetterEntry, DeadLetterFilter, fields_of
from streamix_queue.core.errors import BrokerUnavailable, ConfigError
from tests.admin.services import letter_of_0_1_0
from tests.support.servers import Server

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def old_letters(server: Server, stream: str) -> list[str]:
    """Ids of dead letters that 0.1.0 wrote, and of one that is none."""
    client = server.client()
    ids = [letter_of_0_1_0(client, stream, f"{n}-0", {"n": n}) for n in range(1, 121)]
    ids.append(client.xadd(f"{stream}:failed", {"message": b"\xff"}).decode())  # type: ignore[union-attr]
    return ids


def test_options_out_of_range_are_refused(any_server: Server, stream: str) -> None:
    with Admin(any_server.url, stream) as admin:
        with pytest.raises(ConfigError, match="scan"):
            admin.fingerprints(scan=0)
        with pytest.raises(ConfigError, match="limit"):
            admin.export(limit=-1)
        with pytest.raises(ConfigError, match="id of a dead letter"):
            admin.purge(DeadLetterFilter(), up_to="x")
        with pytest.raises(ConfigError, match="id of a dead letter"):
            admin.dead_letter("x")
    with pytest.raises(ConfigError, match="time zone"):
        DeadLetterFilter(failed_before=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(ConfigError, match="10 hex digits"):
        DeadLetterFilter(fingerprint="no")


def test_redis_that_is_not_there_is_told() -> None:
    with Admin("redis://127.0.0.1:1", "s", timeout_ms=200) as admin:
        for ask in (
            admin.fingerprints,
            lambda: admin.purge(DeadLetterFilter()),
            lambda: list(admin.export()),
        ):
            with pytest.raises(BrokerUnavailable):
                ask()


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


def test_an_export_is_read_back_byte_for_byte(server: Server, stream: str, old_letters: list[str]) -> None:
    with Admin(server.url, stream) as admin:
        letters = {letter.id: letter for letter in admin.dead_letters()}
        exported = list(admin.export())

    assert [each["id"] for each in exported] == old_letters
    assert all(tuple(fields_of(each)) == letters[each["id"]].fields for each in exported)


def test_a_purge_removes_what_it_selects_and_no_more(
    server: Server, stream: str, old_letters: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[int] = []
    with Admin(server.url, stream) as admin, caplog.at_level(logging.INFO, "streamix_queue.audit"):
        assert admin.purge(DeadLetterFilter(), dry_run=True).removed == 121
        assert caplog.messages == []
        report = admin.purge(
            DeadLetterFilter(reason="retries_exhausted"), up_to=old_letters[110], progress=steps.append
        )
        left = [letter.id for letter in admin.dead_letters()]

    assert (report.removed, report.last_id, steps) == (111, old_letters[110], [100, 11])
    assert left == old_letters[111:]
    (line,) = caplog.messages
    assert "purged dead letters: removed=111 by=" in line
    assert "reason='retries_exhausted'" in line


def test_moments_select_to_the_millisecond(server: Server, stream: str) -> None:
    client: Any = server.client()
    for entry_id in ("999-7", "1000-0", "1000-9", "1001-0"):
        client.execute_command("XADD", f"{stream}:failed", entry_id, "message", "x")
    second = datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)

    def ids(**moments: datetime) -> list[str]:
        both = [
            [each.id for each in admin.dead_letters(**moments, newest_first=newest_first)]  # type: ignore[arg-type]
            for newest_first in (False, True)
        ]
        assert both[0] == both[1][::-1]
        return both[0]

    with Admin(server.url, stream) as admin:
        assert ids(failed_before=second) == ["999-7"]
        assert ids(failed_after=second) == ["1000-0", "1000-9", "1001-0"]
        assert ids(failed_after=second, failed_before=second + timedelta(milliseconds=1)) == [
            "1000-0",
            "1000-9",
        ]
        assert ids(failed_after=second + timedelta(microseconds=1)) == ["1001-0"]
        assert ids(failed_before=second - timedelta(days=9000)) == []


def test_an_editor_that_gives_nonsense_leaves_the_letter(
    server: Server, stream: str, old_letters: list[str]
) -> None:
    server.client().xgroup_create(stream, "billing", id="0", mkstream=True)
    with Admin(server.url, stream) as admin:
        for payload in ([1], {"n": float("nan")}, {1: 2}):
            report = admin.replay(
                old_letters[:1],
                group="billing",
                unhandled=True,
                edit=lambda _, payload=payload: payload,  # type: ignore[misc]
            )
            assert [refusal.id for refusal in report.refused] == old_letters[:1]
            assert "cannot be published" in report.refused[0].why
        assert admin.count_dead_letters() == 121


def test_a_letter_tells_its_trace(server: Server, stream: str) -> None:
    fields: Any = {"message": "x", "raw.traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    entry_id: Any = server.client().xadd(f"{stream}:failed", fields)
    with Admin(server.url, stream) as admin:
        letter = admin.dead_letter(entry_id.decode())

    assert isinstance(letter, DeadLetterEntry)
    assert letter.trace_id == TRACE
