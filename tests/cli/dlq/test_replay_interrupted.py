"""A replay that is killed, interrupted or asked about on a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin
from tests.admin.services import EVENT, Service, letters, running
from tests.support.command import COMMAND, environment, streamix
from tests.support.members import eventually
from tests.support.servers import Server
from tests.support.terminal import OnTerminal

MANY = 200


def dead_lettered(server: Server, stream: str, count: int) -> Service:
    """A service that was mended after it dead-lettered so many messages; it is stopped."""
    service = Service(server.url, stream, "billing", broken=True)
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin, running(service):
        publisher.publish_many((EVENT, {"n": n}) for n in range(count))
        letters(admin, count)
    return Service(server.url, stream, "billing")


@contextmanager
def half_way(server: Server, stream: str) -> Iterator[subprocess.Popen[str]]:
    """A replay of all dead letters that has replayed one and cannot come to its end.

    Nobody reads what it prints, so that it has to wait when the pipe is full: after some 25 lines.
    """
    with subprocess.Popen(
        [*COMMAND, "dlq", "replay", "--all", "--yes", "-o", "ndjson"],
        env=environment(REDIS_URL=server.url, STREAM=stream),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pipesize=4096,
        text=True,
    ) as process:
        with Admin(server.url, stream) as admin:
            before = admin.count_dead_letters()
            eventually(lambda: admin.count_dead_letters() < before, 60, "the first one is replayed")
        yield process


def test_a_replay_that_is_killed_half_way_replays_nothing_twice_and_forgets_nothing(
    any_server: Server, stream: str
) -> None:
    service = dead_lettered(any_server, stream, MANY)
    mailer = Service(any_server.url, stream, "mailer", start_from="latest")
    with Admin(any_server.url, stream) as admin, running(service, mailer):
        for _ in range(2):
            with half_way(any_server, stream) as command:
                command.kill()
        rest = admin.count_dead_letters()
        assert 0 < rest < MANY - 1

        last = streamix(
            "dlq", "replay", "--all", "--yes", env={"REDIS_URL": any_server.url, "STREAM": stream}
        )

        assert last.code == 0
        assert f"Replayed {rest} of {rest}." in last.err
        service.handler.wait_for(MANY)
        service.consumer.stop()
        assert Counter(service.handler.values()) == Counter(range(MANY))
        assert admin.count_dead_letters() == 0
        assert mailer.handler.calls == []


def test_ctrl_c_stops_it_and_says_how_to_go_on(any_server: Server, stream: str) -> None:
    service = dead_lettered(any_server, stream, MANY)
    with half_way(any_server, stream) as command:
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=60)

    assert command.returncode == 130
    assert "Run it again" in err
    assert "Traceback" not in err
    told = {json.loads(line)["id"] for line in out.splitlines() if line.endswith("}")}
    with Admin(any_server.url, stream) as admin:
        remaining = {letter.id for letter in admin.dead_letters()}
    assert remaining
    assert not told & remaining
    assert len(told) + len(remaining) >= MANY - 1, "of one at most it cannot tell any more"

    last = streamix("dlq", "replay", "--all", "--yes", env={"REDIS_URL": any_server.url, "STREAM": stream})

    assert last.code == 0
    with running(service):
        service.handler.wait_for(MANY)
        service.consumer.stop()
    assert Counter(service.handler.values()) == Counter(range(MANY))


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 6, 2), ("\n", 6, 2), ("\x03", 130, 2)]
)
def test_on_a_terminal_it_asks_and_does_what_it_is_told(
    any_server: Server, stream: str, answer: str, code: int, left: int
) -> None:
    dead_lettered(any_server, stream, 2)
    command = [*COMMAND, "dlq", "replay", "--all"]
    env = environment(REDIS_URL=any_server.url, STREAM=stream)
    with OnTerminal(command, env=env, logged_in=True, within_s=60) as terminal:
        assert f"2 × {EVENT} to group billing" in terminal.wait_for(r"\[y/N\]")
        _answer(terminal, answer)
        assert terminal.end() == code
        if code == 0:
            assert "1 done" in terminal.wait_for(r"Replayed 2 of 2\."), "it shows how far it is"
    with Admin(any_server.url, stream) as admin:
        assert admin.count_dead_letters() == left


def _answer(terminal: OnTerminal, answer: str) -> None:
    terminal.press(answer)
    # A Ctrl-C in the moment before the reading begins is seen only after it: pressed again, then.
    while answer == "\x03" and not terminal.ends_within(5):
        terminal.press(answer)
