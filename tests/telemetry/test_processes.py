"""Several processes of one consumer: each has a page of its own, at a port that can be foretold."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from streamix_queue import Publisher
from streamix_queue.local_server.loopback import free_loopback_port
from tests.support.command import Running
from tests.support.members import eventually
from tests.support.servers import Server
from tests.telemetry.pages import Page, get

APP = """
from streamix_queue import Consumer
consumer = Consumer({url!r}, {stream!r}, "g", metrics_port={port}, block_ms=200, claim_idle_ms=2000)
consumer.on("order.placed", lambda data: None)
"""


def test_each_process_serves_the_port_after_that_of_the_one_before(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    port = _three_free_ports()
    (tmp_path / "app.py").write_text(APP.format(url=any_server.url, stream=stream, port=port))
    running = Running("run", "app:consumer", "--processes", "3", cwd=tmp_path)
    try:
        running.wait_for_err("consumer.started", 3)
        with Publisher(any_server.url, stream) as publisher:
            publisher.publish_many([("order.placed", {})] * 300)
        eventually(lambda: sum(_acked(port + n) for n in range(3)) == 300, 20)
        (pid, *_) = running.wait_for_err(r"process 2 runs, pid (\d+)")
        assert get(port + 1, "/readyz").status == 200

        os.kill(int(pid), signal.SIGKILL)  # started anew, it has its port again
        running.wait_for_err(r"process 2 runs, pid (\d+)", 2)
        eventually(lambda: _ready(port + 1), 20)

        running.send(signal.SIGTERM)
        assert running.wait().code == 0
    finally:
        running.close()


def _three_free_ports() -> int:
    while True:
        port = free_loopback_port()
        if port < 65_000 and all(not _ready(port + n) for n in range(3)):
            return port


def _ready(port: int) -> bool:
    try:
        return get(port, "/readyz").status == 200
    except OSError:
        return False


def _acked(port: int) -> float:
    return Page.at(port).value("streamix_processed_messages_total", outcome="ack")
