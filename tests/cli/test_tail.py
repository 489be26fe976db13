"""`streamix tail`: what is on the stream, from where and how much, and what comes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest

from streamix_queue import Publisher
from tests.support.command import COMMAND, environment, streamix
from tests.support.servers import Server

WITHIN_S = 30.0


@pytest.fixture
def place(any_server: Server, env: dict[str, str], stream: str) -> dict[str, str]:
    """Twelve messages, n = 0 to 11: the even ones placed, the odd ones paid."""
    with Publisher(any_server.url, stream) as publisher:
        for n in range(12):
            publisher.publish("order.paid" if n % 2 else "order.placed", {"n": n})
    return env


def numbers(*options: str, env: dict[str, str]) -> list[int]:
    ended = streamix("tail", "-o", "ndjson", *options, env=env)
    assert ended.code == 0, ended.err
    return [json.loads(line)["data"]["n"] for line in ended.out.splitlines()]


# --- what goes wrong ------------------------------------------------------------------------------


def test_redis_that_is_not_there_is_told_without_its_password(nowhere: dict[str, str]) -> None:
    ended = streamix("tail", env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    "options",
    [["--from", "yesterday"], ["--from", "-soon"], ["-n", "0"], ["--follow", "-o", "json"]],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_wrong_usage(place: dict[str, str], options: list[str]) -> None:
    ended = streamix("tail", *options, env=place)

    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_an_empty_stream_is_no_error(env: dict[str, str]) -> None:
    ended = streamix("tail", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "There are no such entries.\n")


def test_what_cannot_be_decoded_is_shown_with_why_and_reaches_no_terminal(
    any_server: Server, env: dict[str, str], stream: str
) -> None:
    client = any_server.client()
    client.xadd(stream, {"message": "\x1b]0;owned\x07"})
    client.xadd(stream, {b"other\xff": b"\xff\xfe"})
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("\x1b[2Jevil", {"text": "\u202e\x9b1m"})

    for output in ("table", "wide", "json", "ndjson"):
        ended = streamix("tail", "-o", output, env=env)
        assert ended.code == 0
        assert "malformed" in ended.out
        assert "evil" in ended.out
        assert all(line.isprintable() for line in ended.out.split("\n"))


# --- what goes right ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], list(range(2, 12))),
        (["-n", "3"], [9, 10, 11]),
        (["--event", "order.paid", "-n", "2"], [9, 11]),
        (["--from", "earliest", "-n", "2"], [0, 1]),
        (["--from", "earliest", "-n", "2", "--event", "order.paid"], [1, 3]),
        (["--from", "-10m", "-n", "99"], list(range(12))),
        (["--from", "latest"], []),
        (["--from", "0", "-n", "1"], [0]),
        (["--from", "earliest", "-n", "3", "--follow"], [0, 1, 2]),
    ],
    ids=str,
)
def test_options_say_from_where_and_how_much(
    place: dict[str, str], options: list[str], expected: list[int]
) -> None:
    assert numbers(*options, env=place) == expected


def test_an_id_is_where_it_starts(any_server: Server, place: dict[str, str], stream: str) -> None:
    entries: Any = any_server.client().xrange(stream)
    ids = [entry_id.decode() for entry_id, _ in entries]

    assert numbers("--from", ids[7], "-n", "2", env=place) == [7, 8]


def test_no_group_hears_of_it(any_server: Server, place: dict[str, str], stream: str) -> None:
    client = any_server.client()
    client.xgroup_create(stream, "billing", id="0")
    before = client.xinfo_groups(stream)

    assert len(numbers("--from", "earliest", "-n", "99", env=place)) == 12
    assert client.xinfo_groups(stream) == before


def test_a_line_for_people_has_id_event_and_payload(place: dict[str, str]) -> None:
    ended = streamix("tail", "-n", "1", env=place)

    _, event, _, data = ended.out.split()
    assert (event, data) == ("order.paid", '{"n":11}')


def test_following_shows_what_comes_and_ctrl_c_ends_it(
    any_server: Server, place: dict[str, str], stream: str
) -> None:
    with subprocess.Popen(
        [*COMMAND, "tail", "--from", "earliest", "--follow", "-o", "ndjson"],
        env=environment(**place),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            there = [json.loads(process.stdout.readline())["data"]["n"] for _ in range(12)]
            with Publisher(any_server.url, stream) as publisher:
                publisher.publish("order.placed", {"n": 12})
            began = time.monotonic()
            came = json.loads(process.stdout.readline())["data"]["n"]
            process.send_signal(signal.SIGINT)
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
    assert (there, came) == (list(range(12)), 12)
    assert time.monotonic() - began < WITHIN_S
