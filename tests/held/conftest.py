"""What the tests of the actors share: a group on the in-memory broker, and its parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.actors.workbench import Workbench


@pytest.fixture
def bench() -> Iterator[Workbench]:
    """A member of a group, taken apart: every actor can be stepped by hand."""
    workbench = Workbench()
    yield workbench
    workbench.close()
