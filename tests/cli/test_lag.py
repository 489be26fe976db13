"""`streamix lag`: once, as a check, and as a watch on a terminal and off it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest

from streamix_queue.core.keys import Keys
from tests.support.command import COMMAND, environment, streamix
from tests.support.servers import Server
from tests.support.terminal import OnTerminal

WITHIN_S = 30.0


@pytest.fixture
def place(any_server: Server, stream: str) -> dict[str, str]:
    """Billing has 7 entries of ten before it, 3 pending, 4 delayed, 2 + 1 in an inbox; 5 dead letters."""
    client, keys = any_server.client(), Keys(stream, "billing")
    for n in range(1, 11):
        client.xadd(stream, {"message": "{}"}, id=f"{n}-0")
    client.xgroup_create(stream, "billing", id="0")
    client.xreadgroup("billing", "w1", {stream: ">"}, count=3)
    client.zadd(keys.delayed, {str(n): 4e12 for n in range(4)})
    client.zadd(keys.handlers, {"order.placed": 1})
    inbox = keys.inbox("order.placed")
    client.xgroup_create(inbox, "billing", id="0", mkstream=True)
    for n in range(1, 6):
        client.xadd(inbox, {"message": "{}"}, id=f"{n}-0")
    client.xreadgroup("billing", "w1", {inbox: ">"}, count=3)
    client.xack(inbox, "billing", "1-0", "2-0")
    client.xdel(inbox, "1-0", "2-0")
    for _ in range(5):
        client.xadd(keys.failed, {"message": "{}"})
    return {"STREAMIX_REDIS_URL": any_server.url, "STREAMIX_STREAM": stream}


# --- as a check -----------------------------------------------------------------------------------


def test_more_than_is_allowed_is_exit_code_one_with_the_reason(place: dict[str, str]) -> None:
    ended = streamix("lag", "--fail-over", "8", env=place)

    assert ended.code == 1
    assert "group 'billing': 9 entries are not delivered, more than 8" in ended.err
    assert streamix("lag", "--fail-over", "9", env=place).code == 0


def test_what_has_waited_too_long_is_exit_code_one(place: dict[str, str]) -> None:
    ended = streamix("lag", "--fail-age", "5m", env=place)

    assert ended.code == 1  # the entries say they are of 1970
    assert "the oldest has waited" in ended.err
    assert "longer than 5m0s" in ended.err


def test_a_fresh_backlog_is_not_old(any_server: Server, env: dict[str, str], stream: str) -> None:
    client = any_server.client()
    client.xadd(stream, {"message": "{}"})
    client.xgroup_create(stream, "billing", id="0")

    assert streamix("lag", "--fail-age", "5m", env=env).code == 0


# --- once -----------------------------------------------------------------------------------------


def test_it_tells_stream_inbox_delayed_and_dead_letters(place: dict[str, str]) -> None:
    found: list[dict[str, Any]] = json.loads(streamix("lag", "-o", "json", env=place).out)

    (billing,) = found
    assert (billing["group"], billing["lag"], billing["lag_exact"]) == ("billing", 7, True)
    assert (billing["pending"], billing["delayed"], billing["dead_letters"]) == (3, 4, 5)
    assert billing["inboxes"] == [{"event": "order.placed", "lag": 2, "pending": 1}]
    assert (billing["inbox"], billing["undelivered"]) == (3, 9)
    assert billing["undelivered_age_s"] > 1e9
    assert 0 <= billing["pending_idle_s"] < 60
    heading, row = streamix("lag", env=place).out.splitlines()
    assert heading.split()[:5] == ["GROUP", "LAG", "PENDING", "DELAYED", "INBOX"]
    assert row.split()[:5] == ["billing", "7", "3", "4", "3"]


# --- as a watch -----------------------------------------------------------------------------------


def test_off_a_terminal_it_prints_a_line_each_time(
    place: dict[str, str], any_server: Server, stream: str
) -> None:
    with subprocess.Popen(
        [*COMMAND, "lag", "--watch", "--interval", "100ms"],
        env=environment(**place),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            any_server.client().xadd(stream, {"message": "{}"})
            deadline = time.monotonic() + WITHIN_S
            while "lag=8" not in (line := process.stdout.readline()):
                assert line
                assert time.monotonic() < deadline
            process.send_signal(signal.SIGINT)
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
    assert "billing lag=7 pending=3 delayed=4 inbox=3" in first


def test_a_watch_ends_when_it_has_something_to_fail_for(place: dict[str, str]) -> None:
    ended = streamix("lag", "--watch", "--fail-over", "1", "-o", "ndjson", env=place)

    assert ended.code == 1
    assert json.loads(ended.out)["lag"] == 7


def test_on_a_terminal_it_refreshes_in_place_until_ctrl_c(
    place: dict[str, str], any_server: Server, stream: str
) -> None:
    command = [*COMMAND, "lag", "--watch", "--interval", "100ms"]
    with OnTerminal(command, env=environment(**place)) as terminal:
        first = terminal.wait_for(" 7 ")
        any_server.client().xadd(stream, {"message": "{}"})
        then = terminal.wait_for(" 8 ")
        terminal.send(signal.SIGINT)
        assert terminal.end() == 0
    assert "billing" in first
    assert "\x1b[1A" in then  # the cursor goes up: nothing is scrolled
