"""The harness itself: a test that kills a server has to be able to rely on what that means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from streamix_queue.local_server.loopback import free_loopback_port
from tests.support.processes import wait_until_gone
from tests.support.servers import KINDS, Server, require

if TYPE_CHECKING:
    from collections.abc import Callable

REPO = Path(__file__).resolve().parents[2]

RUN = """
import sys
from tests.support.servers import Server

server = Server.start("valkey9")
server.pause()  # such a one would not see SIGTERM
print(server.pid, server.dir, flush=True)
sys.stdin.read()
"""


def test_a_shared_server_is_empty_at_the_start_of_a_test(server: Server, stream: str) -> None:
    with server.client() as r:
        assert r.dbsize() == 0
        r.xadd(stream, {"a": "1"})


def test_a_killed_server_comes_back_with_its_data_on_its_port(start_server: Callable[..., Server]) -> None:
    server = start_server(appendonly=True)
    with server.client() as r:
        r.set("k", "v")
        port, pid = server.port, server.pid

        server.kill()
        assert not server.alive
        with pytest.raises(redis.ConnectionError):
            r.ping()
        server.restart()

        assert r.get("k") == b"v"
        assert server.port == port
        assert server.pid != pid


def test_a_paused_server_answers_nothing_until_it_is_resumed(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with server.client(socket_timeout=0.2) as r:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            r.ping()

        server.resume()

        assert r.ping() is True


def test_a_paused_server_can_be_stopped(start_server: Callable[..., Server]) -> None:
    server = start_server()
    server.pause()
    server.stop()
    assert not server.alive


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_listens_on_a_unix_socket(start_server: Callable[..., Server], kind: str) -> None:
    server = start_server(kind, unix_socket=True)
    with server.client() as r:
        assert r.ping() is True
        assert server.port == 0


def test_debug_is_enabled(server: Server) -> None:
    with server.client() as r:
        assert r.execute_command("DEBUG", "SLEEP", "0") == b"OK"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell a child of its parent's death")
def test_no_server_outlives_a_test_run_that_is_killed() -> None:
    require("valkey9")
    run = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
    )
    with run:
        assert run.stdout is not None
        pid, directory = run.stdout.readline().split()
        run.kill()
        wait_until_gone(int(pid))
    subprocess.run(["rm", "-r", directory], check=True)


def test_a_free_port_is_not_one_that_clients_are_given() -> None:
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    ports = {free_loopback_port() for _ in range(20)}

    assert not [port for port in ports if lowest <= port <= highest]
    assert len(ports) > 10
