"""Which dead letters the verbs of `streamix dlq` work on, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.dlq.letters_left import left, stats
from tests.support.command import streamix
from tests.support.servers import Server


@pytest.mark.parametrize("verb", ["stats", "export", "purge"])
def test_an_unknown_group_is_not_found_and_one_like_it_is_offered(
    any_server: Server, env: dict[str, str], stream: str, five_letters: list[str], verb: str
) -> None:
    ended = streamix("dlq", verb, "--group", "biling", *(["--all", "--yes"] * (verb == "purge")), env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "'billing'" in ended.err
    assert left(any_server, stream) == five_letters


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
    any_server: Server, env: dict[str, str], stream: str, five_letters: list[str], arguments: list[str]
) -> None:
    ended = streamix("dlq", *arguments, env=env)

    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert left(any_server, stream) == five_letters


def test_a_fingerprint_selects_wherever_letters_are_selected(
    env: dict[str, str], five_letters: list[str]
) -> None:
    fingerprint = stats(env)[0]["fingerprint"]

    for verb in (["ls"], ["export"], ["replay", "--all", "--dry-run"]):
        output = [] if verb == ["export"] else ["-o", "ndjson"]
        ended = streamix("dlq", *verb, "--fingerprint", fingerprint, *output, env=env)
        assert ended.code == 0
        assert sorted(json.loads(line)["id"] for line in ended.out.splitlines()) == five_letters[:3]
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
