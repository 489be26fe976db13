"""`streamix dlq ls`: every letter, whoever wrote it and whatever is in it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.command import COMMAND, environment, streamix
from tests.support.servers import Server


@pytest.fixture
def failed(any_server: Server, stream: str) -> list[str]:
    """Ids of dead letters: two of billing, one of mailer, one of 0.1.0, one that is none."""
    client = any_server.client()
    with Admin(any_server.url, stream) as admin, Publisher(any_server.url, stream) as publisher:
        publisher.publish_many((EVENT, {"n": n}) for n in range(2))
        with running(Service(any_server.url, stream, "billing", broken=True)):
            letters(admin, 2)
        with running(Service(any_server.url, stream, "mailer", broken=True, start_from="latest")):
            publisher.publish(EVENT, {"n": 2})
            letters(admin, 3)
        letter_of_0_1_0(client, stream, "1-0", {"n": 3})
        client.xadd(f"{stream}:failed", {"message": "\x1b]0;owned\x07"})
        return [letter.id for letter in admin.dead_letters()]


# --- what goes wrong ------------------------------------------------------------------------------


def test_redis_that_is_not_there_is_told_with_what_to_do_and_no_secret(nowhere: dict[str, str]) -> None:
    ended = streamix("dlq", "ls", env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "redis://127.0.0.1:1/0" in ended.err
    assert "streamix server" in ended.err
    assert "--redis-url" in ended.err
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("url", ["", "nonsense", "http://localhost", "redis://me:hunter2@host:port/0"])
def test_a_url_that_cannot_be_is_wrong_usage(url: str) -> None:
    ended = streamix("dlq", "ls", "--redis-url", url)

    assert (ended.code, ended.out) == (2, "")
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "option", [["--reason", "whatever"], ["--limit", "0"], ["-o", "xml"], ["--stream", ""]], ids=str
)
def test_an_option_out_of_range_is_wrong_usage(env: dict[str, str], option: list[str]) -> None:
    assert streamix("dlq", "ls", *option, env=env).code == 2


def test_an_unknown_group_is_not_found_and_one_like_it_is_offered(
    env: dict[str, str], failed: list[str]
) -> None:
    ended = streamix("dlq", "ls", "--group", "biling", env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "no group 'biling'" in ended.err
    assert "'billing'" in ended.err


def test_a_reader_that_has_seen_enough_is_no_error(env: dict[str, str], failed: list[str]) -> None:
    for output in ("table", "json", "ndjson"):
        with subprocess.Popen(
            [*COMMAND, "dlq", "ls", "-o", output],
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


# --- what goes right ------------------------------------------------------------------------------


def test_no_dead_letters_are_no_error(env: dict[str, str]) -> None:
    ended = streamix("dlq", "ls", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "No dead letters.\n")
    assert json.loads(streamix("dlq", "ls", "-o", "json", env=env).out) == []


def test_the_table_shows_the_newest_first(env: dict[str, str], failed: list[str]) -> None:
    ended = streamix("dlq", "ls", env=env)

    assert (ended.code, ended.err) == (0, "")
    heading, *rows = ended.out.splitlines()
    assert heading.split() == ["ID", "GROUP", "EVENT", "REASON", "RETRIES", "FAILED", "AT", "ERROR"]
    assert [row.split()[0] for row in rows] == failed[::-1]
    assert [row.split()[1] for row in rows] == ["-", "-", "mailer", "billing", "billing"]
    assert "no such user" in rows[1]


def test_json_has_every_field(env: dict[str, str], failed: list[str]) -> None:
    found: list[dict[str, Any]] = json.loads(streamix("dlq", "ls", "-o", "json", env=env).out)

    assert [letter["id"] for letter in found] == failed[::-1]
    billing = found[-1]
    assert billing.keys() == {
        "id", "group", "event", "reason", "error", "error_type", "retries", "replays", "failed_at",
        "message_id", "fingerprint",
    }  # fmt: skip
    assert (billing["group"], billing["event"]) == ("billing", EVENT)
    assert (billing["reason"], billing["error_type"]) == ("retries_exhausted", "RuntimeError")
    assert billing["failed_at"].startswith("20")
    assert (found[1]["group"], found[1]["failed_at"]) == (None, "2026-04-01T10:00:00+00:00")
    assert (found[0]["event"], found[0]["reason"], found[0]["message_id"]) == ("unknown", "malformed", None)


def test_ndjson_has_the_same_a_line_each(env: dict[str, str], failed: list[str]) -> None:
    lines = streamix("dlq", "ls", "-o", "ndjson", env=env).out.splitlines()

    assert list(map(json.loads, lines)) == json.loads(streamix("dlq", "ls", "-o", "json", env=env).out)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--group", "billing"], [1, 0]),
        (["--group", "mailer", "--event", EVENT], [2]),
        (["--ungrouped"], [4, 3]),
        (["--event", EVENT], [3, 2, 1, 0]),
        (["--event", "other"], []),
        (["--reason", "malformed"], [4]),
        (["--limit", "2"], [4, 3]),
    ],
    ids=str,
)
def test_options_select(
    env: dict[str, str], failed: list[str], options: list[str], expected: list[int]
) -> None:
    ended = streamix("dlq", "ls", "-o", "ndjson", *options, env=env)

    assert ended.code == 0
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == [failed[n] for n in expected]
    if "--limit" in options:
        assert "newest 2" in ended.err
    elif not expected:
        assert ended.err == "No dead letters match.\n"


def test_the_environment_and_options_name_the_place(
    any_server: Server, stream: str, failed: list[str]
) -> None:
    short = {"REDIS_URL": any_server.url, "STREAM": stream, "GROUP": "mailer"}
    wrong = {"STREAMIX_REDIS_URL": "redis://127.0.0.1:1", "STREAMIX_STREAM": "none", "STREAMIX_GROUP": "none"}
    options = ["--redis-url", any_server.url, "--stream", stream, "--group", "billing"]

    def ids(*arguments: str, env: dict[str, str]) -> list[str]:
        out = streamix("dlq", "ls", "-o", "ndjson", *arguments, env=env).out
        return [json.loads(line)["id"] for line in out.splitlines()]

    assert ids(env=short) == [failed[2]]
    assert ids(env={**short, "STREAMIX_GROUP": "billing"}) == [failed[1], failed[0]]
    assert ids(*options, env=wrong) == [failed[1], failed[0]]


def test_hostile_text_reaches_no_terminal(any_server: Server, env: dict[str, str], stream: str) -> None:
    hostile = "\x1b[2J\x9b1m\u202e\r\n\x07end"
    envelope = {
        "id": "1", "event": hostile, "retries": 0,
        "data": {"original_id": hostile, "original_event": hostile, "original_data": {}, "group": hostile,
                 "source_stream_id": "1-0", "retries": 0, "error": f"{hostile} at redis://me:hunter2@h/0"},
        "timestamps": {"created_at": hostile, "updated_at": hostile},
    }  # fmt: skip
    any_server.client().xadd(f"{stream}:failed", {"message": json.dumps(envelope)})

    for output in ("table", "json", "ndjson"):
        ended = streamix("dlq", "ls", "-o", output, env=env)
        assert ended.code == 0
        assert all(line.isprintable() for line in ended.out.split("\n"))
        assert "end" in ended.out
        assert "hunter2" not in ended.out
    assert json.loads(streamix("dlq", "ls", "-o", "json", env=env).out)[0]["event"] == hostile
