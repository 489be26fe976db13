"""Every test of the runtime must leave no thread behind."""

import threading
import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 5.0
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("streamix.")]
    for thread in ours:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert [thread.name for thread in ours if thread.is_alive()] == []
