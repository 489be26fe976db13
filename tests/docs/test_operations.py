"""The README's operations page is a tour: each line of it is typed in, in order, on a real server."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Consumer, publish
from streamix_queue.admin import Admin
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.support.command import environment
from tests.support.servers import Server
from tests.support.terminal import OnTerminal

STREAM, GROUP, EVENT = "app.events", "billing", "order.placed"
SOON_S = 60.0
# Lines that tell by their exit code, and what else than 0 is right on this stage: no AOF is worth a warning.
MAY_FAIL = {"streamix doctor --strict": {1}}
UNTIL_CTRL_C = "lag --watch"
FULL_SCREEN = "streamix top"


def operations_blocks() -> list[Block]:
    """The blocks of bash between the page's heading and the next one."""
    text = (ROOT / "README.md").read_text("utf-8")
    page = text[text.index("## Operating it") : text.index("### Configured from outside")]
    return [
        block for block in blocks_of(ROOT / "README.md") if block.language == "bash" and block.text in page
    ]


class Stage:
    """A service that has failed some messages, was mended, and goes on."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        mended = threading.Event()

        def charge(data: dict[str, Any]) -> None:
            if not mended.is_set():
                raise ConnectionError("the card network is silent")

        self.consumer = Consumer(server.url, STREAM, GROUP, retry_limit=0, metrics_port=self.port)
        self.consumer.on(EVENT, charge)
        with server.client() as client:
            client.xadd(f"{STREAM}:failed", {"message": "of long ago"}, id="1-0")
        self.consumer.start()
        for amount in range(6):
            publish(EVENT, {"amount": amount}, redis_url=server.url)
        with server.client() as client:
            until = time.monotonic() + SOON_S
            while client.xlen(f"{STREAM}:failed") < 7 and time.monotonic() < until:
                client.xread({f"{STREAM}:failed": "$"}, block=500)
            assert client.xlen(f"{STREAM}:failed") == 7
        mended.set()
        with Admin(server.url, STREAM) as admin:
            self.letter = next(admin.dead_letters(newest_first=True))

    def line(self, line: str) -> str:
        """As the reader would type it: with the ids that this stage has."""
        with self.server.client() as client:
            entry_id = client.xrevrange(STREAM, count=1)[0][0].decode()
        line = line.replace("1713982500001-0", entry_id).replace("1713982500002-0", self.letter.id)
        return line.replace("3f9c1d20ab", self.letter.fingerprint)

    @property
    def env(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        metrics = {"STREAMIX_METRICS_PORT": str(self.port)}
        return environment(PATH=path, STREAMIX_REDIS_URL=self.server.url, TERM="xterm", **metrics)

    def run(self, line: str) -> tuple[int, str, str]:
        done = subprocess.run(
            ["bash", "-c", self.line(line)],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SOON_S,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def watch(self, line: str, until: str, then: str) -> tuple[int, str]:
        """Run it on a terminal until it shows ``until``; then press Ctrl-C, or the key ``then``."""
        command = shlex.split(line, comments=True)
        with OnTerminal(command, env=self.env, cwd=self.folder, within_s=SOON_S) as terminal:
            terminal.wait_for(until)
            if then == "Ctrl-C":
                terminal.send(signal.SIGINT)
            else:
                terminal.press(then)
            return terminal.end(), terminal.shown

    def close(self) -> None:
        self.consumer.stop(timeout=10)


@pytest.fixture
def stage(start_server: Any, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(start_server(), tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(180)
def test_an_operator_who_types_in_the_page_sees_explains_and_repairs(stage: Stage) -> None:
    lines = [line for block in operations_blocks() for line in block.text.strip().splitlines()]
    assert len(lines) > 20
    said: dict[str, str] = {}
    for line in lines:
        command = re.sub(r"\s+#.*", "", line)
        if UNTIL_CTRL_C in line:
            code, shown = stage.watch(line, "billing", "Ctrl-C")
            assert code in (0, 130), shown
        elif command == FULL_SCREEN:
            code, shown = stage.watch(line, "billing", "q")
            assert code == 0, shown
        else:
            code, out, err = stage.run(line)
            allowed = {0} | next(
                (codes for start, codes in MAY_FAIL.items() if line.startswith(start)), set()
            )
            assert code in allowed, f"{line}\n{out}\n{err}"
            said[command] = out

    assert "billing" in said["streamix groups"]
    assert "7 replayed" not in said["streamix dlq stats"]
    assert "the card network is silent" in said["streamix dlq stats"]
    assert EVENT in said["streamix pause --group billing"]
    with stage.server.client() as client:
        assert client.xlen(f"{STREAM}:failed") == 0, "six were replayed, and the old one was purged"
    assert (stage.folder / "old.ndjson").read_text().count("\n") == 1
