"""Dead letters that are there already."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.services import letter_of_0_1_0
from tests.support.servers import Server


@pytest.fixture
def old_letters(server: Server, stream: str) -> list[str]:
    """Ids of dead letters that 0.1.0 wrote, and of one that is none."""
    client: Any = server.client()
    ids = [letter_of_0_1_0(client, stream, f"{n}-0", {"n": n}) for n in range(1, 121)]
    ids.append(client.xadd(f"{stream}:failed", {"message": b"\xff"}).decode())
    return ids
