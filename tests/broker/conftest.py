"""The ``backend`` fixture: each test that asks for it runs on every implementation and server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from tests.broker.backends import Backend, MemoryBackend, RedisBackend
from tests.support.servers import KINDS, Server

MEMORY = "memory"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds: list[str] = list(metafunc.config.getoption("--server") or KINDS)
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", [MEMORY, *kinds], indirect=True)
    if "redis_backend" in metafunc.fixturenames:
        metafunc.parametrize("redis_backend", kinds, indirect=True)
    if "durable" in metafunc.fixturenames:
        metafunc.parametrize("durable", kinds, indirect=True)


@pytest.fixture
def redis_backend(
    request: pytest.FixtureRequest, shared_servers: Callable[[str], Server], stream: str
) -> Iterator[RedisBackend]:
    """A real server of each kind in turn."""
    yield from _on_real_server(stream, shared_servers(request.param))


@pytest.fixture
def backend(
    request: pytest.FixtureRequest, shared_servers: Callable[[str], Server], stream: str
) -> Iterator[Backend]:
    """Memory and each kind of real server in turn."""
    if request.param == MEMORY:
        yield MemoryBackend(stream)
    else:
        yield from _on_real_server(stream, shared_servers(request.param))


@pytest.fixture
def durable(
    request: pytest.FixtureRequest, start_server: Callable[..., Server], stream: str
) -> Iterator[RedisBackend]:
    """A server of the test's own, of each kind in turn, that keeps its data when it is restarted."""
    yield from _on_real_server(stream, start_server(request.param, appendonly=True))


def _on_real_server(stream: str, server: Server) -> Iterator[RedisBackend]:
    backend = RedisBackend(stream, server)
    backend.client.flushall()
    try:
        yield backend
    finally:
        backend.close()


@pytest.fixture
def me(backend: Backend) -> ConsumerBroker:
    """The member whose side the test takes; its group exists."""
    broker = backend.consumer("me")
    broker.ensure_group(backend.keys.stream, "0")
    return broker
