"""What systemd is told: ready, well, stopping, and nothing when it is not so."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamix_queue import Publisher
from streamix_queue.cli.run.service_manager import ServiceManager, State
from tests.cli.run.apps import write_app
from tests.support.command import Running
from tests.support.servers import Server

Start = Callable[..., Running]
WITHIN_S = 30.0


class Systemd:
    """The end of the socket that systemd holds."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)

    def hear(self, within_s: float = WITHIN_S) -> str:
        """The next thing that it is told; nothing if there is none in that time."""
        self._socket.settimeout(within_s)
        try:
            return self._socket.recv(4096).decode()
        except TimeoutError:
            return ""

    def hear_until(self, what: str) -> list[str]:
        """What it is told until ``what``, which is the last of it."""
        heard = [self.hear()]
        while heard[-1] and heard[-1] != what:
            heard.append(self.hear())
        assert heard[-1] == what, f"{what} was not said, but {heard}"
        return heard

    def environment(self, watchdog_s: float) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    # Not pytest's own directory, whose path may be longer than a socket's may be.
    with tempfile.TemporaryDirectory() as directory:
        listening = Systemd(f"{directory}/notify")
        yield listening
        listening.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A directory with an application in it."""
    return write_app(tmp_path)


@pytest.fixture
def env(any_server: Server, stream: str, systemd: Systemd) -> dict[str, str]:
    return {"APP_URL": any_server.url, "APP_STREAM": stream, **systemd.environment(0.4)}


# --- what goes wrong ------------------------------------------------------------------------------


def test_the_watchdog_is_not_fed_while_something_makes_no_progress(systemd: Systemd) -> None:
    state = State(started=True, healthy=False, stopping=False)
    looks = 0

    def look() -> State:
        nonlocal looks
        looks += 1
        return state

    with ServiceManager(look, systemd.environment(0.02)):
        assert systemd.hear() == "READY=1"
        seen = looks
        while looks < seen + 10:
            assert systemd.hear(0.005) == ""
        state = State(started=True, healthy=True, stopping=False)
        assert systemd.hear() == "WATCHDOG=1"


def test_a_process_that_gets_no_turn_does_not_feed_the_watchdog(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str], systemd: Systemd
) -> None:
    command = start("run", "app:consumer", cwd=app, env=env)
    systemd.hear_until("READY=1")
    systemd.hear_until("WATCHDOG=1")
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("work", {"n": 1, "hold": 3})  # the handler keeps the GIL for so long
    command.wait_for_out("started")
    before = 0
    while systemd.hear(1.0):  # five times as long as it takes when it is well
        before += 1
        assert before < 5, "fed all the same"

    command.wait_for_out("finished")
    systemd.hear_until("WATCHDOG=1")


def test_a_start_that_fails_is_not_called_ready(
    start: Start, app: Path, env: dict[str, str], nowhere: dict[str, str], systemd: Systemd
) -> None:
    ended = start("run", "app:consumer", cwd=app, env={**env, "APP_URL": nowhere["REDIS_URL"]}).wait()

    assert ended.code == 3
    assert "READY=1" not in systemd.hear_until("STOPPING=1")


def test_a_systemd_that_does_not_listen_harms_nothing(
    start: Start, app: Path, env: dict[str, str], systemd: Systemd
) -> None:
    systemd.close()
    command = start("run", "app:consumer", cwd=app, env=env)
    command.wait_for_err("consumer.started")

    command.send(signal.SIGTERM)

    ended = command.wait()
    assert ended.code == 0
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "changed", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}]
)
def test_a_watchdog_that_nobody_asked_for_is_not_fed(systemd: Systemd, changed: dict[str, str]) -> None:
    looked: list[None] = []

    def look() -> State:
        looked.append(None)
        return State(started=True, healthy=True, stopping=False)

    with ServiceManager(look, {**systemd.environment(0.02), **changed}):
        deadline = time.monotonic() + WITHIN_S
        while len(looked) < 3 and time.monotonic() < deadline:
            os.sched_yield()
    assert [systemd.hear(), systemd.hear()] == ["READY=1", "STOPPING=1"]


# --- what goes right ------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_systemd_is_told_when_it_is_ready_that_it_is_well_and_that_it_stops(
    start: Start,
    any_server: Server,
    stream: str,
    app: Path,
    env: dict[str, str],
    systemd: Systemd,
    processes: tuple[str, ...],
) -> None:
    gate = app / "gate"
    command = start("run", "app:consumer", *processes, cwd=app, env=env)
    command.wait_for_err("consumer.started", 2 if processes else 1)
    systemd.hear_until("READY=1")
    for _ in range(3):
        assert systemd.hear() == "WATCHDOG=1"
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("work", {"n": 1, "gate": str(gate)})
    command.wait_for_out("started")

    command.send(signal.SIGTERM)

    assert set(systemd.hear_until("STOPPING=1")[:-1]) <= {"WATCHDOG=1"}
    assert systemd.hear() == "WATCHDOG=1", "a drain is no standstill"
    gate.touch()
    assert command.wait().code == 0
    while heard := systemd.hear(0.1):
        assert heard == "WATCHDOG=1", "the rest is said once"


def test_what_a_process_starts_does_not_speak_for_it(systemd: Systemd) -> None:
    environ = {**systemd.environment(10), "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}

    with ServiceManager(lambda: State(started=True, healthy=True, stopping=False), environ):
        assert environ == {"HOME": "/"}


def test_an_abstract_address_works() -> None:
    listening = Systemd(f"\0streamix-test-{os.getpid()}")
    environ = {"NOTIFY_SOCKET": f"@streamix-test-{os.getpid()}"}

    with ServiceManager(lambda: State(started=True, healthy=True, stopping=False), environ):
        assert listening.hear() == "READY=1"
    assert listening.hear() == "STOPPING=1"
    listening.close()


def test_without_systemd_nobody_looks() -> None:
    def look() -> State:
        raise AssertionError("nobody asked")

    with ServiceManager(look, {}) as manager:
        assert not manager._thread.is_alive()
