"""`streamix dlq stats`, `show`, `export` and `purge`: dead letters by kind, whole, kept, and gone."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin, DeadLetterFilter, fields_of
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.command import streamix
from tests.support.servers import Server

RAW = b"\x1b]0;owned\x07\xff"


@pytest.fixture
def failed(any_server: Server, stream: str) -> list[str]:
    """Ids of dead letters: three of billing that failed alike, one of 0.1.0, one that is none."""
    client = any_server.client()
    with Admin(any_server.url, stream) as admin, Publisher(any_server.url, stream) as publisher:
        publisher.publish_many((EVENT, {"n": n}) for n in range(3))
        with running(Service(any_server.url, stream, "billing", broken=True)):
            letters(admin, 3)
        letter_of_0_1_0(client, stream, "1-0", {"n": 3, "text": "\x1b[2J"})
        client.xadd(f"{stream}:failed", {"message": RAW})
        return [letter.id for letter in admin.dead_letters()]


def left(server: Server, stream: str) -> list[str]:
    with Admin(server.url, stream) as admin:
        return [letter.id for letter in admin.dead_letters()]


def stats(env: dict[str, str], *options: str) -> list[dict[str, Any]]:
    ended = streamix("dlq", "stats", "-o", "json", *options, env=env)
    assert ended.code == 0
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", [["stats"], ["show", "1-0"], ["export"], ["purge", "--all", "--yes"]], ids=str
)
def test_redis_that_is_not_there_is_told(nowhere: dict[str, str], verb: list[str]) -> None:
    ended = streamix("dlq", *verb, env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "cannot reach Redis" in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize("verb", ["stats", "export", "purge"])
def test_an_unknown_group_is_not_found_and_one_like_it_is_offered(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], verb: str
) -> None:
    ended = streamix("dlq", verb, "--group", "biling", *(["--all", "--yes"] * (verb == "purge")), env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "'billing'" in ended.err
    assert left(any_server, stream) == failed


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats", "--scan", "0"],
        ["stats", "--fingerprint", "nonsense"],
        ["stats", "--older-than", "soon"],
        ["stats", "--older-than", "999999999d"],
        ["show", "nonsense"],
        ["show"],
        ["export", "--to", "/nowhere/at/all"],
        ["purge", "--yes"],
        ["purge", "--group", "billing", "--yes"],
        ["purge", "--all", "--audit-log", "/nowhere/at/all", "--yes"],
    ],
    ids=str,
)
def test_what_is_not_clear_is_wrong_usage(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], arguments: list[str]
) -> None:
    ended = streamix("dlq", *arguments, env=env)

    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert left(any_server, stream) == failed


def test_a_letter_that_is_not_there_is_not_found(env: dict[str, str], failed: list[str]) -> None:
    ended = streamix("dlq", "show", "1-1", env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "no dead letter 1-1" in ended.err
    assert "streamix dlq ls" in ended.err


def test_a_file_that_is_there_is_not_written_over(
    env: dict[str, str], failed: list[str], tmp_path: Path
) -> None:
    kept = tmp_path / "letters.ndjson"
    kept.write_text("kept")

    ended = streamix("dlq", "export", "--to", str(kept), env=env)

    assert ended.code == 6
    assert "there already" in ended.err
    assert kept.read_text() == "kept"


def test_off_a_terminal_nothing_is_purged_without_yes(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix("dlq", "purge", "--all", env=env)

    assert (ended.code, ended.out) == (6, "")
    assert "5 dead letters" in ended.err
    assert f"3 × {EVENT} of group billing" in ended.err
    assert "--yes" in ended.err
    assert left(any_server, stream) == failed


# --- stats ----------------------------------------------------------------------------------------


def test_letters_that_failed_alike_are_counted_together(
    env: dict[str, str], failed: list[str], stream: str
) -> None:
    billing, *others = stats(env)

    assert (billing["count"], billing["group"], billing["event"]) == (3, "billing", EVENT)
    assert (billing["error_type"], billing["sample_id"]) == ("RuntimeError", failed[2])
    assert billing["first_failed_at"] <= billing["last_failed_at"]
    assert {each["error"] for each in others if each["group"] is None} >= {"no such user"}
    assert [each["count"] for each in others] == [1, 1]
    ended = streamix("dlq", "stats", env=env)
    heading, first, *_ = ended.out.splitlines()
    assert heading.split()[:4] == ["FINGERPRINT", "COUNT", "GROUP", "EVENT"]
    assert first.split()[:4] == [billing["fingerprint"], "3", "billing", EVENT]
    assert all(line.isprintable() for line in ended.out.split("\n"))


def test_only_the_newest_are_looked_at_and_it_says_so(env: dict[str, str], failed: list[str]) -> None:
    ended = streamix("dlq", "stats", "--scan", "3", "-o", "ndjson", env=env)

    assert sum(json.loads(line)["count"] for line in ended.out.splitlines()) == 3
    assert "newest 3 were looked at" in ended.err
    assert streamix("dlq", "stats", "--scan", "5", env=env).err == ""


def test_nothing_to_count_is_no_error(env: dict[str, str]) -> None:
    assert streamix("dlq", "stats", env=env).err == "No dead letters.\n"


def test_a_fingerprint_selects_wherever_letters_are_selected(env: dict[str, str], failed: list[str]) -> None:
    fingerprint = stats(env)[0]["fingerprint"]

    for verb in (["ls"], ["export"], ["replay", "--all", "--dry-run"]):
        output = [] if verb == ["export"] else ["-o", "ndjson"]
        ended = streamix("dlq", *verb, "--fingerprint", fingerprint, *output, env=env)
        assert ended.code == 0
        assert sorted(json.loads(line)["id"] for line in ended.out.splitlines()) == failed[:3]
    assert [each["fingerprint"] for each in stats(env, "--fingerprint", fingerprint)] == [fingerprint]


def test_age_selects_by_the_moment_of_the_letter(
    any_server: Server, stream: str, env: dict[str, str]
) -> None:
    client: Any = any_server.client()
    now: Any = client.time()
    client.execute_command("XADD", f"{stream}:failed", f"{(now[0] - 7200) * 1000}-5", "message", "x")
    client.execute_command("XADD", f"{stream}:failed", f"{(now[0] - 3600) * 1000}-5", "message", "x")
    old, new = left(any_server, stream)

    def ids(*options: str) -> list[str]:
        out = streamix("dlq", "ls", "-o", "ndjson", *options, env=env).out
        return [json.loads(line)["id"] for line in out.splitlines()]

    assert ids("--older-than", "90m") == [old]
    assert ids("--newer-than", "90m") == [new]
    assert ids("--newer-than", "3h", "--older-than", "30m") == [new, old]
    assert ids("--older-than", "1d") == ids("--newer-than", "1s") == []


# --- show -----------------------------------------------------------------------------------------


def test_a_letter_is_shown_whole(env: dict[str, str], failed: list[str]) -> None:
    ended = streamix("dlq", "show", failed[0], env=env)

    assert (ended.code, ended.err) == (0, "")
    for text in ("billing", EVENT, "RuntimeError", "does not suit us", "Traceback", '"n": 0', "attempts"):
        assert text in ended.out
    letter = json.loads(streamix("dlq", "show", failed[0], "-o", "json", env=env).out)
    assert (letter["id"], letter["data"], letter["replays"]) == (failed[0], {"n": 0}, 0)
    assert letter["attempts"][0]["error_type"] == "RuntimeError"
    assert "does not suit us" in letter["traceback"]


def test_hostile_letters_reach_no_terminal(env: dict[str, str], failed: list[str]) -> None:
    for letter_id in failed[3:]:
        for output in ("table", "json"):
            ended = streamix("dlq", "show", letter_id, "-o", output, env=env)
            assert ended.code == 0
            assert all(line.isprintable() for line in ended.out.split("\n"))


# --- export ---------------------------------------------------------------------------------------


def test_what_is_exported_is_the_letter_byte_for_byte(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix("dlq", "export", env=env)

    assert (ended.code, ended.err) == (0, "Exported 5.\n")
    exported = [json.loads(line) for line in ended.out.splitlines()]
    assert [letter["id"] for letter in exported] == failed
    entries: Any = any_server.client().xrange(f"{stream}:failed")
    for letter, (_, fields) in zip(exported, entries, strict=True):
        assert fields_of(letter) == [each for pair in fields.items() for each in pair]
    assert exported[4]["fields"][0][1].keys() == {"base64"}
    assert exported[3]["data"] == {"n": 3, "text": "\x1b[2J"}


def test_a_file_holds_the_same_and_is_private(env: dict[str, str], failed: list[str], tmp_path: Path) -> None:
    file = tmp_path / "letters.ndjson"

    ended = streamix("dlq", "export", "--to", str(file), "--limit", "4", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "Exported 4.\n")
    lines = file.read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == failed[:4]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# --- purge ----------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_removes_nothing(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix("dlq", "purge", "--all", "--dry-run", "-o", "json", env=env)

    assert (ended.code, ended.err) == (0, "Would remove 5 of 5.\n")
    assert {"status": "would be removed", "count": 3, "event": EVENT, "group": "billing"} in json.loads(
        ended.out
    )
    assert left(any_server, stream) == failed


def test_what_is_purged_is_what_was_selected_and_is_in_the_audit_log(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    fingerprint = stats(env)[0]["fingerprint"]
    command = ["dlq", "purge", "--fingerprint", fingerprint, "--yes"]

    nothing = streamix(*command, "--older-than", "1h", env=env)
    ended = streamix(*command, "--limit", "2", env={**env, "STREAMIX_AUDIT_LOG": str(log)})

    assert (nothing.code, nothing.err) == (0, "No dead letters match.\n")
    assert (ended.code, ended.err) == (0, "Removed 2 of 2.\n")
    assert ended.out.splitlines()[1].split() == ["removed", "2", EVENT, "billing"]
    assert left(any_server, stream) == failed[2:]
    (line,) = log.read_text().splitlines()
    assert "removed=2" in line
    assert "by=" in line
    assert fingerprint in line


def test_what_was_not_counted_stays(any_server: Server, stream: str, failed: list[str]) -> None:
    with Admin(any_server.url, stream) as admin:
        counted = admin.purge(DeadLetterFilter(), dry_run=True)
        any_server.client().xadd(f"{stream}:failed", {"message": "later"})

        assert admin.purge(DeadLetterFilter(), up_to=counted.last_id).removed == 5
        assert admin.count_dead_letters() == 1
