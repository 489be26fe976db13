from __future__ import annotations

from collections.abc import Iterator

import pytest

from load.harness import Bench
from load.server import LoadServer
from tests.support.servers import Server


@pytest.fixture
def bench(any_server: Server) -> Iterator[Bench]:
    """One round on the suite's own server, unpinned: other tests may be running beside it."""
    server = LoadServer(any_server.url, any_server.pid, pinned=False)
    yield Bench(server, repeats=1, pinned=False, deadline_s=30.0, say=lambda line: None)
    server.close()
