"""`streamix run --processes`: started anew when they die, stopped together, never left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from streamix_queue import Publisher
from tests.cli.run.apps import APP, write_app
from tests.support.command import Running
from tests.support.processes import gone, wait_until_gone
from tests.support.servers import Server

Start = Callable[..., Running]
RUNS = r"process \d+ runs, pid (\d+)"
READY = "consumer.started"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A directory with an application in it."""
    return write_app(tmp_path)


@pytest.fixture
def env(any_server: Server, stream: str) -> dict[str, str]:
    return {"APP_URL": any_server.url, "APP_STREAM": stream}


def pids(command: Running, count: int) -> list[int]:
    """The processes that it said it started, once they are so many and all of them are ready."""
    started = [int(pid) for pid in command.wait_for_err(RUNS, count)]
    command.wait_for_err(READY, count)
    return started


# --- what goes wrong ------------------------------------------------------------------------------


def test_an_import_error_ends_all_at_once_with_its_exit_code(start: Start, tmp_path: Path) -> None:
    write_app(tmp_path, "import a_package_that_is_not_there")

    ended = start("run", "app:consumer", "--processes", "2", cwd=tmp_path).wait()

    assert ended.code == 4
    assert "a_package_that_is_not_there" in ended.err
    assert ended.err.count(" runs, pid ") == 2, "nothing was started anew"


def test_redis_that_is_not_there_at_the_start_is_told(
    start: Start, app: Path, env: dict[str, str], nowhere: dict[str, str]
) -> None:
    env = {**env, "APP_URL": nowhere["REDIS_URL"]}

    ended = start("run", "app:consumer", "--processes", "2", cwd=app, env=env).wait()

    assert ended.code == 3
    assert "cannot reach Redis" in ended.err
    assert "hunter2" not in ended.err


def test_one_that_keeps_dying_makes_it_give_up_with_exit_code_70(start: Start, tmp_path: Path) -> None:
    write_app(tmp_path, "import os\nos._exit(9)")

    ended = start("run", "app:consumer", "--processes", "1", cwd=tmp_path).wait()

    assert ended.code == 70
    assert "ended with exit code 9" in ended.err
    assert "gave up" in ended.err
    assert ended.err.count(" runs, pid ") == 6, "once and five times more"


# --- what goes right ------------------------------------------------------------------------------


def test_one_that_is_killed_is_started_anew_and_sigterm_drains_all(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str]
) -> None:
    env = {**env, "APP_PREFETCH": "1"}  # one that is busy leaves the next message to the other
    command = start("run", "app:consumer", "--processes", "2", cwd=app, env=env)
    first, second = pids(command, 2)

    os.kill(first, signal.SIGKILL)
    command.wait_for_err(rf"process \d: pid {first} was killed by SIGKILL")
    third = pids(command, 3)[2]
    assert third not in {first, second}

    gate = app / "gate"
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish_many(("work", {"n": n, "gate": str(gate)}) for n in range(2))
    workers = {int(pid) for pid in command.wait_for_out(r"^started (\d+)", 2)}
    assert workers == {second, third}, "each of them takes part"
    command.send(signal.SIGTERM)
    command.wait_for_err("consumer.draining", 2)
    gate.touch()

    ended = command.wait()
    assert ended.code == 0
    assert ended.out.count("finished") == 2, "what ran was finished"
    assert gone(second)
    assert gone(third)


def test_ctrl_c_reaches_each_process_once_and_so_cleanly(
    start: Start, app: Path, env: dict[str, str]
) -> None:
    command = start("run", "app:consumer", "--processes", "2", cwd=app, env=env)
    pids(command, 2)

    command.press_ctrl_c()

    ended = command.wait()
    assert ended.code == 0
    assert ended.err.count("consumer.stopped") == 2


def test_a_second_signal_kills_them_whatever_they_do(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str]
) -> None:
    command = start("run", "app:consumer", "--processes", "2", cwd=app, env=env)
    children = pids(command, 2)
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("work", {"hold": 60})
    command.wait_for_out("started")

    command.send(signal.SIGTERM)
    command.wait_for_err("consumer.draining")  # the other one
    command.send(signal.SIGTERM)

    assert command.wait().code == 128 + signal.SIGTERM
    for child in children:
        wait_until_gone(child)


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="the kernel's part in this is Linux'")
def test_they_end_with_a_parent_that_is_killed(start: Start, app: Path, env: dict[str, str]) -> None:
    command = start("run", "app:consumer", "--processes", "2", cwd=app, env=env)
    children = pids(command, 2)

    command.send(signal.SIGKILL)

    for child in children:
        wait_until_gone(child)
    command.wait()
    assert sum("consumer.stopped" in line for line in command.err) == 2, "as cleanly as if asked to"


def test_a_process_that_dies_in_an_outage_waits_for_redis_and_costs_nothing(
    start: Start, start_server: Callable[..., Server], app: Path, stream: str
) -> None:
    server = start_server(appendonly=True)
    env = {"APP_URL": server.url, "APP_STREAM": stream}
    command = start("run", "app:consumer", "--processes", "1", cwd=app, env=env)
    (first,) = pids(command, 1)

    server.stop()
    os.kill(first, signal.SIGKILL)
    # With the kill one more than it may fail, if that Redis is away were a failure of its own.
    command.wait_for_err("cannot reach Redis", 5)
    server.restart()

    command.wait_for_err(READY, 2)
    command.send(signal.SIGTERM)
    assert command.wait().code == 0


def test_concurrency_and_log_level_reach_the_processes(
    start: Start, tmp_path: Path, env: dict[str, str]
) -> None:
    write_app(tmp_path, APP)
    command = start(
        "run", "app:consumer", "--processes", "1", "--concurrency", "7", "--log-level", "info",
        cwd=tmp_path, env=env,
    )  # fmt: skip

    command.wait_for_err(r"consumer\.started.*concurrency=7")
    command.send(signal.SIGTERM)
    assert command.wait().code == 0
