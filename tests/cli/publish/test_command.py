"""`streamix publish`: from an argument, a file and a pipe, and what becomes of bad lines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.command import COMMAND, Ended, environment, streamix
from tests.support.servers import Server
from tests.support.terminal import OnTerminal

EVENT = "order.placed"


@pytest.fixture
def client(any_server: Server) -> Iterator[redis.Redis]:
    with any_server.client() as client:
        yield client


def piped(text: str | bytes, *arguments: str, env: dict[str, str]) -> Ended:
    """The verb with ``text`` on its stdin."""
    raw = text.encode() if isinstance(text, str) else text
    command = [*COMMAND, "publish", *arguments]
    done = subprocess.run(
        command, env=environment(**env), input=raw, capture_output=True, timeout=60, check=False
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def published(client: redis.Redis, stream: str) -> list[dict[str, Any]]:
    """The messages on the stream."""
    found: Any = client.xrange(stream)
    return [json.loads(fields[b"message"]) for _, fields in found]


# --- what goes wrong ------------------------------------------------------------------------------


def test_redis_that_is_not_there_is_told(nowhere: dict[str, str]) -> None:
    ended = streamix("publish", EVENT, "{}", env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        ([EVENT], "give the payload"),
        ([EVENT, "{}", "--ndjson"], "many lines"),
        ([EVENT, "{}", "--skip-bad"], "many lines"),
        ([EVENT, "@/nowhere/at/all"], "cannot read"),
        ([EVENT, "@"], "cannot read"),
        ([EVENT, "[1]"], "expected a JSON object, not an array"),
        ([EVENT, "{"], "not JSON"),
        ([EVENT, '{"a": NaN}'], "not JSON"),
        ([EVENT, "[" * 100_000], "nested too deep"),
        (["", "{}"], "event"),
        ([EVENT, '{"a": "12345678"}', "--max-message-bytes", "9"], "max_message_bytes=9"),
    ],
    ids=str,
)
def test_what_cannot_be_published_is_wrong_usage(
    env: dict[str, str], client: redis.Redis, stream: str, arguments: list[str], said: str
) -> None:
    ended = streamix("publish", *arguments, env=env)

    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not client.exists(stream)


@pytest.mark.parametrize("bad", ["nonsense", "[]", '{"a": ', '"x"', "\ufeff{}", '{"a": 1} {"b": 2}'])
def test_a_bad_line_is_named_and_what_stands_before_it_is_published(
    env: dict[str, str], client: redis.Redis, stream: str, bad: str
) -> None:
    ended = piped(f'{{"n": 1}}\n\n{bad}\n{{"n": 2}}\n', EVENT, "-", env=env)

    assert ended.code == 1
    assert "line 3: " in ended.err
    assert "the 1 messages before it" in ended.err
    assert "tail -n +3" in ended.err
    (message,) = published(client, stream)
    assert ended.out.split() == [message["id"]]


def test_skip_bad_counts_them(env: dict[str, str], client: redis.Redis, stream: str) -> None:
    text = b'{"n": 1}\nx\n{"n": 2}\n\xff\n' + b"y" * 17_000_000 + b'\n{"n": 3}'
    ended = piped(text, EVENT, "-", "--skip-bad", env=env)

    assert ended.code == 1
    assert [message["data"]["n"] for message in published(client, stream)] == [1, 2, 3]
    assert "Published 3, 3 bad lines left out." in ended.err
    for number in (2, 4, 5):
        assert f"line {number}: " in ended.err


@pytest.mark.parametrize(
    "line", ["{}", '{"event": "a"}', '{"event": 1, "data": {}}', '{"event": "a", "data": [1]}',
             '{"event": "a", "data": {}, "more": 1}']
)  # fmt: skip
def test_without_an_event_each_line_has_to_name_its_own(
    env: dict[str, str], client: redis.Redis, stream: str, line: str
) -> None:
    ended = piped(line, "-", env=env)

    assert (ended.code, ended.out) == (1, "")
    assert "line 1: " in ended.err
    assert not client.exists(stream)


def test_a_redis_that_refuses_in_the_middle_says_what_is_published(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    client.set(stream, "no stream")

    ended = piped('{"n": 1}\n{"n": 2}\n', EVENT, "-", env=env)

    assert (ended.code, ended.out) == (1, "")
    assert "Published for sure: 0 messages, all up to line 0." in ended.err
    assert "Look at lines 1 to 2" in ended.err


# --- what goes right ------------------------------------------------------------------------------


def test_an_argument_is_published_and_its_id_printed(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    ended = streamix("publish", EVENT, '{"order": 7, "who": "Zoë"}', env=env)

    (message,) = published(client, stream)
    assert (ended.code, ended.out, ended.err) == (0, f"{message['id']}\n", "Published 1.\n")
    assert (message["event"], message["data"]) == (EVENT, {"order": 7, "who": "Zoë"})


def test_a_file_is_one_object_over_many_lines(
    env: dict[str, str], client: redis.Redis, stream: str, tmp_path: Path
) -> None:
    (tmp_path / "one.json").write_text('{\n  "order": 7\n}\n')

    ended = streamix("publish", EVENT, "@one.json", "-o", "json", env=env, cwd=tmp_path)

    (message,) = published(client, stream)
    (line,) = json.loads(ended.out)
    assert line == {
        "id": message["id"], "event": EVENT, "created_at": message["timestamps"]["created_at"]
    }  # fmt: skip
    assert message["data"] == {"order": 7}


def test_a_file_of_many_lines(env: dict[str, str], client: redis.Redis, stream: str, tmp_path: Path) -> None:
    (tmp_path / "many").write_text("".join(f'{{"n": {n}}}\r\n' for n in range(1203)))

    ended = streamix("publish", EVENT, "@many", "--ndjson", "-o", "ndjson", env=env, cwd=tmp_path)

    found = published(client, stream)
    assert [message["data"]["n"] for message in found] == list(range(1203))
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == [m["id"] for m in found]
    assert ended.err == "Published 1203.\n"


def test_lines_that_name_their_event(env: dict[str, str], client: redis.Redis, stream: str) -> None:
    text = '{"event": "a", "data": {"n": 1}}\n{"data": {"n": 2}, "event": "b"}\n'

    ended = piped(text, "-", "--quiet", env=env)

    assert (ended.code, ended.out) == (0, "")
    found = [(message["event"], message["data"]["n"]) for message in published(client, stream)]
    assert found == [("a", 1), ("b", 2)]


def test_a_dry_run_checks_and_publishes_nothing(
    env: dict[str, str], nowhere: dict[str, str], client: redis.Redis, stream: str
) -> None:
    ended = piped('{"n": 1}\n{"n": 2}\n', EVENT, "-", "--dry-run", env=nowhere)
    assert (ended.code, ended.out, ended.err) == (0, "", "Would publish 2.\n")

    ended = piped('{"n": 1}\nx\n', EVENT, "-", "--dry-run", env=env)
    assert ended.code == 1
    assert "line 2: " in ended.err
    assert not client.exists(stream)


def test_a_group_is_created_so_that_the_event_is_kept_for_it(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    assert streamix("publish", EVENT, "{}", "--group", "new", env=env).code == 0

    (group,) = client.xinfo_groups(stream)
    assert (group["name"], group["last-delivered-id"]) == (b"new", b"0-0")


def test_nothing_on_stdin_is_nothing_published(env: dict[str, str]) -> None:
    assert piped("", EVENT, "-", env=env).err == "Published 0.\n"
    assert json.loads(piped("\n\n", EVENT, "-", "-o", "json", env=env).out) == []


def test_a_line_does_not_wait_for_those_behind_it(env: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "publish", EVENT, "-"],
        env=environment(**env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            process.stdin.write(b'{"n": 1}\n')
            process.stdin.flush()
            assert len(process.stdout.readline().strip()) == 36
        process.stdin.close()
    assert process.returncode == 0


def test_a_person_at_the_terminal_sees_how_far_it_is(
    env: dict[str, str], client: redis.Redis, stream: str, tmp_path: Path
) -> None:
    (tmp_path / "many").write_text('{"n": 1}\n' * 700)
    with OnTerminal(
        [*COMMAND, "publish", EVENT, "@many", "--ndjson"],
        env=environment(**env),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as terminal:
        assert terminal.end() == 0
    assert "700 published" in terminal.shown
    assert client.xlen(stream) == 700
