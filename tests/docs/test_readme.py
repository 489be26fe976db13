"""Every block of the README is run here, as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamix_queue import publish
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.docs.test_operations import operations_blocks
from tests.support.servers import Server

README = blocks_of(ROOT / "README.md")
SOON_S = 30.0


class Reader:
    """A reader who types the blocks in, one after the other."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self._folder = folder
        self._count = 0
        self._running: list[subprocess.Popen[str]] = []

    def python(self, block: Block, *, stdin: str | None = None) -> subprocess.Popen[str]:
        """Start a block of Python."""
        self._count += 1
        path = self._folder / f"block_{self._count}.py"
        path.write_text(block.text, "utf-8")
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.docs.run_block", str(path)],
            cwd=ROOT,
            env={
                **os.environ,
                "BLOCK_REDIS_URL": self.server.url,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'telemetry'}",
            },
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def output(self, block: Block) -> str:
        """Run a block of Python to its end; what it printed."""
        process = self.python(block)
        out, err = process.communicate(timeout=SOON_S)
        assert process.returncode == 0, err
        return out

    def shell(self, line: str) -> str:
        """Run a line of a shell block with the installed command; what it printed."""
        bin_folder = Path(sys.executable).parent
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "REDIS_URL": self.server.url},
            capture_output=True,
            text=True,
            timeout=SOON_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def reader(any_server: Server, tmp_path: Path) -> Iterator[Reader]:
    made = Reader(any_server, tmp_path)
    yield made
    made.close()


def block(start: str) -> Block:
    """The block that holds ``start``."""
    (found,) = [each for each in README if start in each.text]
    return found


def read_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """Lines of its output up to the one that holds ``wanted``; the test's time limit bounds it."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if wanted in line:
            return lines
    pytest.fail(f"ended without {wanted!r}: {lines} {process.stderr and process.stderr.read()}")


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    _, err = process.communicate(timeout=SOON_S)
    assert process.returncode == 0, err


def the_first_screen(reader: Reader) -> None:
    reader.output(block('publish("user.created", {"user_id": "123"'))
    process = reader.python(block("def on_user_created"))
    assert read_until(process, "User created") == [block("User created: 123\n").text.strip()]
    stop(process)


def what_happens_when_a_handler_fails(reader: Reader) -> None:
    publish("order.placed", {"amount": 5}, redis_url=reader.server.url)
    process = reader.python(block("def charge"))
    assert read_until(process, "charged") == ["charged 5, attempt 2"]
    publish("order.placed", {"amount": 0}, redis_url=reader.server.url)
    with reader.server.client() as client:
        client.xread({"app.events:failed": "0"}, block=10_000)
    ls, replay = block("streamix dlq ls").text.strip().splitlines()
    assert "nothing to charge" in reader.shell(ls)
    reader.shell(replay)
    stop(process)


def publishing_many(reader: Reader) -> None:
    assert reader.output(block("publisher.publish_many(")) == "published 1001\n"
    with reader.server.client() as client:
        assert client.xlen("app.events") == 1001


def held_back(reader: Reader) -> None:
    assert reader.output(block("max_backlog=")) == "published\n"


def embedded_in_a_service(reader: Reader) -> None:
    publish("user.created", {"user_id": "7"}, redis_url=reader.server.url)
    process = reader.python(block("with consumer:"), stdin="")
    read_until(process, "welcome 7")
    out, err = process.communicate("\n", timeout=SOON_S)
    assert process.returncode == 0, err + out


def telemetry_in_one_call(reader: Reader) -> None:
    assert reader.output(block("from streamix_telemetry import configure")) == ""


def configured_from_outside(reader: Reader) -> None:
    assert reader.output(block("Settings.load()")) == ""


SCENES: dict[Callable[[Reader], None], list[str]] = {
    the_first_screen: [
        'publish("user.created", {"user_id": "123"',
        "def on_user_created",
        "User created: 123\n",
    ],
    what_happens_when_a_handler_fails: ["def charge", "streamix dlq ls"],
    publishing_many: ["publisher.publish_many("],
    held_back: ["max_backlog="],
    embedded_in_a_service: ["with consumer:"],
    configured_from_outside: ["Settings.load()"],
    telemetry_in_one_call: ["from streamix_telemetry import configure"],
}
"""Each scene and the blocks that it runs."""


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_reader_who_types_in_the_readme_sees_what_it_says(
    scene: Callable[[Reader], None], reader: Reader
) -> None:
    scene(reader)


def test_no_block_of_the_readme_is_left_untested() -> None:
    tested = [start for starts in SCENES.values() for start in starts]
    left = [
        each.first_line
        for each in README
        if each.language in ("python", "bash", "console")
        and not any(start in each.text for start in tested)
        and not re.match(r"make (demo|test)$|pip install ", each.first_line)
        and each not in operations_blocks()
    ]

    assert left == []


def test_the_two_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    commands = [each.text.strip() for each in README if each.text.startswith("make ")]

    assert commands == ["make demo", "make test"]
    for command in commands:
        done = subprocess.run(
            [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_extras_that_the_readme_installs_exist() -> None:
    declared = (ROOT / "pyproject.toml").read_text("utf-8")
    (line,) = [each.text.strip() for each in README if each.text.startswith("pip install")]
    extras = re.search(r"\[(.+)\]", line)

    assert extras is not None
    for extra in extras.group(1).split(","):
        assert re.search(rf"^{extra} = \[", declared, re.MULTILINE)
