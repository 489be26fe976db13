"""A process that was frozen and goes on: a paused container, a debugger, a laptop that was shut."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.servers import Server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_right_after_the_thaw_stops_it(
    any_server: Server, stream: str, tmp_path: Path, number: signal.Signals
) -> None:
    """Fails when the main thread waits for ever (in `Signals.wait`).

    The kernel gives the signal to another thread then, and Python runs handlers on the main one.
    """
    with Fleet(any_server, stream, tmp_path) as fleet:
        for _ in range(3):
            process = fleet.start()
            fleet.wait_for("settled", fleet.publish())
            process.freeze()
            process.thaw()
            if number == signal.SIGTERM:
                process.terminate()
            else:
                process.interrupt()
            assert process.wait(10) == 0
        fleet.rest()
        assert fleet.report().ok
