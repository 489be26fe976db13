"""`streamix groups`, `consumers` and `pending`: what they show, and what they refuse."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from streamix_queue.core.keys import Keys
from tests.support.command import streamix
from tests.support.servers import Server

HOSTILE = "\x1b[2Jevil"


@pytest.fixture
def place(any_server: Server, stream: str) -> dict[str, str]:
    """A stream of ten entries: billing holds 5, 3 and 2 of them by w1 and 2 in an inbox; mailer none."""
    fill(any_server, stream)
    return {"STREAMIX_REDIS_URL": any_server.url, "STREAMIX_STREAM": stream}


def fill(server: Server, stream: str) -> None:
    client, keys = server.client(), Keys(stream, "billing")
    for n in range(1, 11):
        client.xadd(stream, {"message": "{}"}, id=f"{n}-0")
    for group in ("billing", "mailer"):
        client.xgroup_create(stream, group, id="0")
    client.xreadgroup("billing", "w1", {stream: ">"}, count=3)
    client.xreadgroup("billing", "w2", {stream: ">"}, count=2)
    client.zadd(keys.handlers, {"order.placed": 1})
    inbox = keys.inbox("order.placed")
    client.xgroup_create(inbox, "billing", id="0", mkstream=True)
    for n in range(1, 4):
        client.xadd(inbox, {"message": "{}"}, id=f"{n}-0")
    client.xreadgroup("billing", "w1", {inbox: ">"}, count=2)


def found(*arguments: str, env: dict[str, str]) -> Any:
    ended = streamix(*arguments, "-o", "json", env=env)
    assert (ended.code, ended.err) == (0, "")
    return json.loads(ended.out)


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "near"), [(["--event", "order.place"], "order.placed"), (["--consumer", "w11"], "w1")]
)
def test_an_unknown_event_or_consumer_is_not_found(
    place: dict[str, str], option: list[str], near: str
) -> None:
    ended = streamix("pending", "--group", "billing", *option, env=place)

    assert (ended.code, ended.out) == (5, "")
    assert f"Did you mean {near!r}?" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [["pending", "--min-idle", "soon"], ["pending", "--limit", "0"], ["groups", "-o", "xml"],
     ["lag", "--fail-age", "old"], ["lag", "--fail-over", "-1"], ["lag", "--interval", "1ms"]],
    ids=" ".join,
)  # fmt: skip
def test_an_option_out_of_range_is_wrong_usage(place: dict[str, str], arguments: list[str]) -> None:
    assert streamix(*arguments, env=place).code == 2


def test_a_stream_that_is_not_there_has_no_groups(env: dict[str, str]) -> None:
    ended = streamix("groups", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "The stream has no groups.\n")
    assert streamix("pending", env=env).code == 5


def test_a_key_of_another_type_is_an_error_and_no_trace(
    any_server: Server, env: dict[str, str], stream: str
) -> None:
    any_server.client().set(stream, "x")

    ended = streamix("groups", env=env)

    assert (ended.code, ended.out) == (1, "")
    assert "Traceback" not in ended.err


def test_hostile_names_reach_no_terminal(any_server: Server, env: dict[str, str], stream: str) -> None:
    client = any_server.client()
    client.xadd(stream, {"message": "{}"})
    client.xgroup_create(stream, HOSTILE, id="0")
    client.xreadgroup(HOSTILE, HOSTILE, {stream: ">"})

    for arguments in (["groups"], ["consumers"], ["pending"], ["lag"]):
        for output in ("table", "wide", "json", "ndjson"):
            ended = streamix(*arguments, "-o", output, env=env)
            assert ended.code == 0
            assert "evil" in ended.out
            assert all(line.isprintable() for line in ended.out.split("\n"))


# --- what goes right ------------------------------------------------------------------------------


def test_groups_show_what_is_delivered_pending_and_left_on_every_server(server: Server, stream: str) -> None:
    fill(server, stream)
    env = {"STREAMIX_REDIS_URL": server.url, "STREAMIX_STREAM": stream}

    billing, mailer = found("groups", env=env)

    assert (billing["group"], billing["consumers"], billing["pending"]) == ("billing", 2, 5)
    assert (billing["lag"], billing["lag_exact"], billing["last_delivered_id"]) == (5, True, "5-0")
    assert (mailer["group"], mailer["consumers"], mailer["pending"], mailer["lag"]) == ("mailer", 0, 0, 10)


def test_the_lag_is_counted_where_redis_lost_it(server: Server, stream: str) -> None:
    fill(server, stream)
    server.client().xdel(stream, "8-0")  # from now on it does not know
    env = {"STREAMIX_REDIS_URL": server.url, "STREAMIX_STREAM": stream}

    assert [group["lag"] for group in found("groups", env=env)] == [4, 9]
    assert [group["lag"] for group in found("lag", env=env)] == [4, 9]


def test_wide_shows_more_columns_than_a_table(place: dict[str, str]) -> None:
    narrow, wide = (streamix("groups", "-o", output, env=place).out for output in ("table", "wide"))

    assert "READ" not in narrow.splitlines()[0]
    assert wide.splitlines()[0].split()[-1] == "READ"
    assert [line.split()[0] for line in narrow.splitlines()] == ["GROUP", "billing", "mailer"]


def test_consumers_tell_what_each_holds_of_stream_and_inboxes(place: dict[str, str]) -> None:
    members = found("consumers", "--group", "billing", env=place)

    assert [(m["consumer"], m["pending"], m["inbox_pending"]) for m in members] == [
        ("w1", 3, 2),
        ("w2", 2, 0),
    ]
    assert all(0 <= m["idle_s"] < 60 for m in members)
    assert streamix("consumers", env=place).out.splitlines()[1].split()[:4] == ["w1", "billing", "3", "2"]


def test_pending_lists_the_stream_and_then_the_inboxes(place: dict[str, str]) -> None:
    entries = found("pending", "--group", "billing", env=place)

    assert [(e["id"], e["event"], e["consumer"]) for e in entries] == [
        *((f"{n}-0", None, "w1" if n < 4 else "w2") for n in range(1, 6)),
        ("1-0", "order.placed", "w1"),
        ("2-0", "order.placed", "w1"),
    ]
    assert {e["deliveries"] for e in entries} == {1}


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--consumer", "w2"], ["4-0", "5-0"]),
        (["--event", "order.placed"], ["1-0", "2-0"]),
        (["--min-idle", "1h"], ["2-0", "4-0"]),
        (["--limit", "2"], ["1-0", "2-0"]),
        (["--group", "mailer"], []),
    ],
    ids=str,
)
def test_pending_selects(
    any_server: Server, stream: str, place: dict[str, str], options: list[str], ids: list[str]
) -> None:
    for entry, holder in (("2-0", "w1"), ("4-0", "w2")):
        any_server.client().xclaim(stream, "billing", holder, 0, [entry], idle=7_200_000)

    ended = streamix("pending", "--group", "billing", *options, "-o", "ndjson", env=place)

    assert ended.code == 0
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == ids
    assert ("oldest 2 are shown" in ended.err) == ("--limit" in options)
    assert ("Nothing is pending" in ended.err) == (not ids)


@pytest.mark.parametrize("verb", ["groups", "consumers", "pending --group billing", "lag", "tail", "dlq ls"])
def test_who_only_looks_does_not_load_the_telemetry(place: dict[str, str], verb: str) -> None:
    code = (
        "import sys\n"
        "from streamix_queue.cli import main\n"
        f"assert main({verb.split()!r}) == 0\n"
        "heavy = {'prometheus_client', 'structlog', 'streamix_telemetry'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ended = streamix(env=place, command=[sys.executable, "-W", "error", "-c", code])

    assert "LOADED []" in ended.err
