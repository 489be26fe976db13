"""Fixtures of the command's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command import Running
from tests.support.servers import Server


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start the command; what still runs at the end of the test is ended."""
    started: list[Running] = []

    def run(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Running:
        started.append(Running(*arguments, env=env, cwd=cwd))
        return started[-1]

    yield run
    for command in started:
        command.close()


@pytest.fixture
def env(any_server: Server, stream: str) -> dict[str, str]:
    """An environment that names a real server and a stream of the test's own."""
    return {"STREAMIX_REDIS_URL": any_server.url, "STREAMIX_STREAM": stream}


@pytest.fixture
def nowhere() -> dict[str, str]:
    """An environment that names a server which is not there, with a password."""
    return {"REDIS_URL": "redis://me:hunter2@127.0.0.1:1/0"}
