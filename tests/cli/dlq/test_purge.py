"""`streamix dlq purge`: dead letters removed, and no other."""

from __future__ import annotations

import json
from pathlib import Path

from streamix_queue.admin import Admin, DeadLetterFilter
from tests.admin.services import EVENT
from tests.cli.dlq.letters_left import left, stats
from tests.support.command import streamix
from tests.support.servers import Server


def test_off_a_terminal_nothing_is_purged_without_yes(
    any_server: Server, env: dict[str, str], stream: str, five_letters: list[str]
) -> None:
    ended = streamix("dlq", "purge", "--all", env=env)

    assert (ended.code, ended.out) == (6, "")
    assert "5 dead letters" in ended.err
    assert f"3 × {EVENT} of group billing" in ended.err
    assert "--yes" in ended.err
    assert left(any_server, stream) == five_letters


def test_a_dry_run_counts_and_removes_nothing(
    any_server: Server, env: dict[str, str], stream: str, five_letters: list[str]
) -> None:
    ended = streamix("dlq", "purge", "--all", "--dry-run", "-o", "json", env=env)

    assert (ended.code, ended.err) == (0, "Would remove 5 of 5.\n")
    assert {"status": "would be removed", "count": 3, "event": EVENT, "group": "billing"} in json.loads(
        ended.out
    )
    assert left(any_server, stream) == five_letters


def test_what_is_purged_is_what_was_selected_and_is_in_the_audit_log(
    any_server: Server, env: dict[str, str], stream: str, five_letters: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    fingerprint = stats(env)[0]["fingerprint"]
    command = ["dlq", "purge", "--fingerprint", fingerprint, "--yes"]

    nothing = streamix(*command, "--older-than", "1h", env=env)
    ended = streamix(*command, "--limit", "2", env={**env, "STREAMIX_AUDIT_LOG": str(log)})

    assert (nothing.code, nothing.err) == (0, "No dead letters match.\n")
    assert (ended.code, ended.err) == (0, "Removed 2 of 2.\n")
    assert ended.out.splitlines()[1].split() == ["removed", "2", EVENT, "billing"]
    assert left(any_server, stream) == five_letters[2:]
    (line,) = log.read_text().splitlines()
    assert "removed=2" in line
    assert "by=" in line
    assert fingerprint in line


def test_what_was_not_counted_stays(any_server: Server, stream: str, five_letters: list[str]) -> None:
    with Admin(any_server.url, stream) as admin:
        counted = admin.purge(DeadLetterFilter(), dry_run=True)
        any_server.client().xadd(f"{stream}:failed", {"message": "later"})

        assert admin.purge(DeadLetterFilter(), up_to=counted.last_id).removed == 5
        assert admin.count_dead_letters() == 1
