from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from streamix_queue import embedded
from streamix_queue.embedded import EmbeddedServer, EmbeddedServerError
from streamix_queue.local_server.loopback import free_loopback_port
from tests.support.processes import gone, wait_until_gone
from tests.support.servers import KINDS, require

if TYPE_CHECKING:
    from collections.abc import Iterator

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _a_packaged_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start what comes with the tests, whatever is on this machine's PATH."""
    monkeypatch.setenv("STREAMIX_SERVER_BIN", str(require("valkey9")))


@pytest.fixture
def short_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    path = Path("/tmp") / f"sx-{os.getpid()}-{time.monotonic_ns()}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def client(server: EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, protocol=2, socket_timeout=5)


# --- what it promises while it runs -----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_generation_starts_with_the_promised_settings(kind: str) -> None:
    with EmbeddedServer(binary=require(kind)) as server, client(server) as r:
        settings = r.config_get("*")

        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["save"] == ""
        assert settings["bind"] == "127.0.0.1"
        assert r.info("server")["process_id"] == server.pid
        assert server.url == f"redis://127.0.0.1:{server.port}/0"


def test_extra_options_reach_the_server() -> None:
    with EmbeddedServer(extra_args=("--maxmemory", "50mb")) as server, client(server) as r:
        assert r.config_get("maxmemory") == {"maxmemory": str(50 << 20)}


def test_a_unix_socket_is_for_this_user_alone_and_no_port_is_open(short_dir: Path) -> None:
    path = short_dir / "a b.sock"

    with EmbeddedServer(unix_socket=path) as server, client(server) as r:
        assert r.ping() is True
        assert server.port == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert r.config_get("port") == {"port": "0"}


def test_a_socket_left_by_a_killed_server_is_replaced(short_dir: Path) -> None:
    path = short_dir / "s"
    with EmbeddedServer(unix_socket=path) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(5)
    assert path.exists()

    with EmbeddedServer(unix_socket=path) as server, client(server) as r:
        assert r.ping() is True


# --- start and stop ---------------------------------------------------------------------------


def test_a_given_directory_keeps_its_data_over_a_stop(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "with space"
    with EmbeddedServer(data_dir=directory) as server, client(server) as r:
        r.set("k", "v")

    with EmbeddedServer(data_dir=directory) as server, client(server) as r:
        assert r.get("k") == b"v"
        assert server.log_path == directory / "server.log"
    assert server.running is False
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_killed_server_loses_nothing_it_had_answered(tmp_path: Path) -> None:
    with EmbeddedServer(data_dir=tmp_path) as server, client(server) as r:
        for number in range(1000):
            r.rpush("k", number)
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(5)

        server.start()

        with client(server) as again:
            assert again.llen("k") == 1000


def test_a_server_that_loads_its_data_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    with EmbeddedServer(data_dir=tmp_path) as server, client(server) as r:
        r.mset({f"k{number}": os.urandom(2000) for number in range(40)})
        r.bgrewriteaof()  # the keys are delayed in a snapshot, not in a log of commands
        while r.info("persistence")["aof_rewrite_in_progress"]:
            pass
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 0.25)
    begin = time.monotonic()

    with EmbeddedServer(data_dir=tmp_path, extra_args=slow) as server, client(server) as r:
        assert time.monotonic() - begin > 0.5
        assert r.dbsize() == 40


def test_a_temporary_directory_is_removed_with_the_server() -> None:
    with EmbeddedServer() as server:
        directory = server.data_dir
        assert directory.is_dir()

    assert not directory.exists()


def test_start_and_stop_may_be_repeated() -> None:
    server = EmbeddedServer()
    server.stop()
    assert server.start() is server
    pid = server.pid
    assert server.start().pid == pid
    server.stop()
    server.stop()

    with server:
        assert server.running
        assert server.pid != pid


@pytest.mark.parametrize("attribute", ["url", "port", "pid", "data_dir", "log_path"])
def test_a_server_that_is_not_started_says_so(attribute: str) -> None:
    server = EmbeddedServer()

    with pytest.raises(EmbeddedServerError, match="not started"):
        getattr(server, attribute)
    assert server.running is False


def test_a_server_started_by_many_threads_at_once_is_one_server() -> None:
    server = EmbeddedServer()
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(server.start().pid)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stop()

    assert len(pids) == 8
    assert len(set(pids)) == 1


def test_a_server_outlives_the_thread_that_started_it() -> None:
    """The kernel binds a child to the thread that made it; the server's is not the caller's."""
    server = EmbeddedServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        assert server.wait(0.3) is False
        with client(server) as r:
            assert r.ping() is True
    finally:
        server.stop()


# --- its owner ends ---------------------------------------------------------------------------

OWNER = """
import os, signal, sys
from streamix_queue.embedded import EmbeddedServer

server = EmbeddedServer(data_dir=sys.argv[1]).start()
print(server.pid, flush=True)
"""


def run_owner(tmp_path: Path, then: str) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER + then, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell a child of its parent's death")
def test_the_server_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    owner, pid = run_owner(tmp_path, "sys.stdin.read()")
    with owner:
        assert not gone(pid)

        owner.kill()

        wait_until_gone(pid)
    # Its lock is gone with it, and its data is complete.
    with EmbeddedServer(data_dir=tmp_path) as server, client(server) as r:
        assert r.ping() is True


def test_the_server_ends_with_an_owner_that_forgets_to_stop_it(tmp_path: Path) -> None:
    owner, pid = run_owner(tmp_path, "")
    with owner:
        assert owner.wait(10) == 0
    wait_until_gone(pid, timeout_s=0.5)


def test_a_forked_copy_of_the_owner_leaves_the_server_alone(tmp_path: Path) -> None:
    then = """
child = os.fork()
if child == 0:
    server.stop()
    sys.exit(0)  # runs the exit handlers
os.waitpid(child, 0)
print(server.wait(0.3), server.data_dir.exists(), flush=True)
"""
    owner, _ = run_owner(tmp_path, then)
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "False True\n"
        assert owner.wait(10) == 0


def test_a_ctrl_c_reaches_the_owner_and_not_the_server(tmp_path: Path) -> None:
    then = """
signal.signal(signal.SIGINT, lambda *_: print(server.wait(0.3), flush=True))
os.killpg(os.getpgrp(), signal.SIGINT)  # as a terminal does
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER + then, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
        start_new_session=True,
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.read().split()[1:] == ["False"]


# --- what goes wrong at the start -------------------------------------------------------------


def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path: Path) -> None:
    server = EmbeddedServer(data_dir=tmp_path, extra_args=("--no-such-option", "1"))

    with pytest.raises(EmbeddedServerError, match="no-such-option"):
        server.start()
    assert server.running is False


def test_a_data_directory_serves_one_server_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_LOCK_TIMEOUT_S", 0.05)
    with EmbeddedServer(data_dir=tmp_path) as first, client(first) as r:
        with pytest.raises(EmbeddedServerError, match=rf"in use by another .* \(process {first.pid}\)"):
            EmbeddedServer(data_dir=tmp_path).start()

        assert r.ping() is True


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_that_is_taken_is_named(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(EmbeddedServerError, match=f"port {port} .* already in use"):
            EmbeddedServer(port=port, binary=require(kind)).start()


def test_another_server_on_the_port_is_not_taken_for_ours() -> None:
    with EmbeddedServer() as first:
        with pytest.raises(EmbeddedServerError, match=f"port {first.port} .* already in use"):
            EmbeddedServer(port=first.port).start()


def test_a_free_port_that_is_lost_to_another_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_loopback_port()])
        monkeypatch.setattr(embedded, "free_loopback_port", lambda: next(ports))

        with EmbeddedServer() as server, client(server) as r:
            assert r.ping() is True


def test_a_file_in_the_sockets_place_is_kept(short_dir: Path) -> None:
    path = short_dir / "precious"
    path.write_text("data")

    with pytest.raises(EmbeddedServerError, match="is not a socket"):
        EmbeddedServer(unix_socket=path).start()
    assert path.read_text() == "data"


def test_a_socket_that_another_server_listens_on_is_kept(short_dir: Path) -> None:
    with EmbeddedServer(unix_socket=short_dir / "s") as first, client(first) as r:
        with pytest.raises(EmbeddedServerError, match="another server listens"):
            EmbeddedServer(unix_socket=short_dir / "s").start()

        assert r.ping() is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 65_536}, "port=65536: expected 0"),
        ({"port": -1}, "port=-1: expected 0"),
        ({"port": 7000, "unix_socket": "s"}, "expected one of them"),
        ({"unix_socket": "x" * 200}, "103 bytes"),
        ({"extra_args": ("--BIND", "0.0.0.0")}, "--BIND is set by EmbeddedServer"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddedServer(**options)  # type: ignore[arg-type]
