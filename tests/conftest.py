"""Fixtures that give a test a real server, and catch what a test leaves behind."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import KINDS, Server, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_THREAD_GRACE_S = 2.0
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        action="append",
        choices=KINDS,
        metavar="KIND",
        help=f"run the server tests on this kind only (may be repeated): {', '.join(KINDS)}",
    )


def pytest_configure() -> None:
    # A shell starts what it puts into the background with SIGINT ignored, and every child process
    # would inherit that: then no Ctrl-C of a test could arrive.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if name := os.environ.get("STREAMIX_TEST_MUTANT"):
        # Here as well as in the processes that the tests start, so that any test can show a mutant.
        from tests.support import mutants

        mutants.apply(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for ``server`` once on each kind."""
    if "server" in metafunc.fixturenames:
        kinds = metafunc.config.getoption("--server") or KINDS
        metafunc.parametrize("server", kinds, indirect=True)


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Callable[[str], Server]]:
    """One server of each kind for the whole run, started when first asked for."""
    started: dict[str, Server] = {}

    def get(kind: str) -> Server:
        if kind not in started:
            require(kind)
            started[kind] = Server.start(kind)
        elif not started[kind].alive:  # the test before this one killed it
            started[kind].restart()
        return started[kind]

    yield get
    for server in started.values():
        server.close()


@pytest.fixture
def server(request: pytest.FixtureRequest, shared_servers: Callable[[str], Server]) -> Server:
    """An empty server; the test runs on each kind in turn. Leave its settings as they were."""
    return _emptied(shared_servers(request.param))


@pytest.fixture
def any_server(request: pytest.FixtureRequest, shared_servers: Callable[[str], Server]) -> Server:
    """An empty server of one kind, for tests that no difference between servers can touch."""
    chosen = request.config.getoption("--server") or ["valkey9"]
    return _emptied(shared_servers(chosen[0]))


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """`Server.start`, for a server of the test's own (to kill, pause, configure)."""
    started: list[Server] = []

    def start(kind: str = "valkey9", **options: object) -> Server:
        require(kind)
        server = Server.start(kind, **options)  # type: ignore[arg-type]
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def stream() -> str:
    """A stream name that no other test has."""
    return f"test.{os.getpid()}.{next(_numbers)}"


@pytest.fixture(autouse=True)
def _no_thread_left_behind() -> Iterator[None]:
    """Fail a test after which a thread of ours still runs: something was not stopped."""
    before = set(threading.enumerate())
    yield
    ours = [t for t in threading.enumerate() if t not in before and t.name.startswith("streamix.")]
    deadline = time.monotonic() + _THREAD_GRACE_S
    for thread in ours:
        thread.join(max(0.0, deadline - time.monotonic()))
    if left := [thread.name for thread in ours if thread.is_alive()]:
        pytest.fail(f"threads left behind: {', '.join(left)}")


def _emptied(server: Server) -> Server:
    with server.client() as client:
        client.flushall()
    return server
