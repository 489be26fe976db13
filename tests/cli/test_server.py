"""`streamix server`: there when it says so, gone when it is told to go."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.support.command import Running, streamix
from tests.support.processes import wait_until_gone
from tests.support.servers import Server


def client_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, protocol=2, socket_timeout=10)


def test_a_port_that_is_taken_is_told_with_what_to_do(any_server: Server) -> None:
    ended = streamix("server", "--port", str(any_server.port))

    assert (ended.code, ended.out) == (1, "")
    assert f"port {any_server.port} of 127.0.0.1 is already in use" in ended.err
    assert "--port 0" in ended.err
    assert "Traceback" not in ended.err


def test_without_a_server_program_it_says_how_to_get_one(tmp_path: Path) -> None:
    ended = streamix("server", env={"STREAMIX_SERVER_BIN": str(tmp_path / "none")})

    assert ended.code == 4
    assert str(tmp_path / "none") in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("port", ["-1", "65536", "six"])
def test_a_port_that_cannot_be_is_wrong_usage(port: str) -> None:
    assert streamix("server", "--port", port).code == 2


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_it_prints_its_url_and_stops_when_asked(start: Callable[..., Running], how: str) -> None:
    command = start("server", "--port", "0")
    (url,) = command.wait_for_out(r"^(redis://127\.0\.0\.1:\d+/0)$")
    with client_of(url) as client:
        assert client.ping()
        pid: int = client.info("server")["process_id"]

    if how == "ctrl-c":
        command.press_ctrl_c()
    else:
        command.send(signal.SIGTERM)

    ended = command.wait()
    assert ended.code == 0
    assert ended.out == url, "stdout is the URL and nothing else"
    assert "Ctrl-C stops it" in ended.err
    wait_until_gone(pid)


def test_with_a_data_directory_the_data_is_there_again(start: Callable[..., Running], tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        command = start("server", "--port", "0", "--data-dir", str(tmp_path / "data"))
        (url,) = command.wait_for_out("^(redis://.*)$")
        with client_of(url) as client:
            assert client.get("key") == expected
            client.set("key", "kept")
        command.send(signal.SIGTERM)
        assert command.wait().code == 0


def test_it_says_so_when_the_server_ends_by_itself(start: Callable[..., Running]) -> None:
    command = start("server", "--port", "0")
    (url,) = command.wait_for_out("^(redis://.*)$")
    with client_of(url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)

    ended = command.wait()
    assert ended.code == 1
    assert "ended by itself" in ended.err


def test_the_server_ends_with_a_command_that_is_killed(start: Callable[..., Running]) -> None:
    command = start("server", "--port", "0")
    (url,) = command.wait_for_out("^(redis://.*)$")
    with client_of(url) as client:
        pid: int = client.info("server")["process_id"]

    command.send(signal.SIGKILL)

    command.wait()
    wait_until_gone(pid)
