"""`streamix run` in one process: finds the consumer, runs it, ends as it should."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from streamix_queue import Publisher
from tests.cli.run.apps import write_app
from tests.support.command import Running, streamix
from tests.support.servers import Server

Start = Callable[..., Running]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A directory with an application in it."""
    return write_app(tmp_path)


@pytest.fixture
def env(any_server: Server, stream: str) -> dict[str, str]:
    return {"APP_URL": any_server.url, "APP_STREAM": stream}


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("app", 2, "app:consumer"),
        ("app:", 2, "app:consumer"),
        ("app.py:consumer", 2, "app:consumer"),
        ("./app.py", 2, "app:consumer"),
        ("a b:consumer", 2, "MODULE:CONSUMER"),
        ("", 2, "MODULE:CONSUMER"),
        ("nowhere:consumer", 4, "no module 'nowhere'"),
        ("app.nowhere:consumer", 4, "no module 'app.nowhere'"),
        ("app:consumr", 4, "app:consumer"),
        ("app:work", 4, "app:work() failed"),
        ("app:os", 4, "not a Consumer"),
        ("app:consumer.nothing", 4, "has no 'consumer.nothing'"),
    ],
)
def test_a_target_that_cannot_be_used_is_told_with_one_that_can(
    app: Path, env: dict[str, str], target: str, code: int, said: str
) -> None:
    ended = streamix("run", target, cwd=app, env=env)

    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert "streamix_queue/cli" not in ended.err, "no traceback of ours"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import a_package_that_is_not_there", "No module named 'a_package_that_is_not_there'"),
        ("def f(:\n    pass", "SyntaxError"),
        ("def f():\n    raise RuntimeError('at redis://me:hunter2@host/0')\nf()", "in f"),
        ("raise SystemExit('no configuration')", "no configuration"),
    ],
)
def test_an_import_error_shows_where_it_happened_and_no_secret(tmp_path: Path, text: str, said: str) -> None:
    write_app(tmp_path, text)

    ended = streamix("run", "app:consumer", cwd=tmp_path)

    assert (ended.code, ended.out) == (4, "")
    assert "cannot import 'app'" in ended.err
    assert said in ended.err
    assert "importlib" not in ended.err
    assert "hunter2" not in ended.err


def test_redis_that_is_not_there_is_told_with_what_to_do(
    app: Path, env: dict[str, str], nowhere: dict[str, str]
) -> None:
    ended = streamix("run", "app:consumer", cwd=app, env={**env, "APP_URL": nowhere["REDIS_URL"]})

    assert (ended.code, ended.out) == (3, "")
    assert "redis://127.0.0.1:1/0" in ended.err
    assert "streamix server" in ended.err
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


def test_a_consumer_without_a_handler_is_told(tmp_path: Path) -> None:
    write_app(tmp_path, "from streamix_queue import Consumer\nconsumer = Consumer()")

    ended = streamix("run", "app:consumer", cwd=tmp_path)

    assert ended.code == 2
    assert "no handler" in ended.err


@pytest.mark.parametrize("concurrency", ["0", "-1", "many", "1000000"])
def test_a_concurrency_that_cannot_be_is_wrong_usage(
    app: Path, env: dict[str, str], concurrency: str
) -> None:
    assert streamix("run", "app:consumer", "--concurrency", concurrency, cwd=app, env=env).code == 2


def test_handlers_that_do_not_end_in_time_make_the_exit_code_1(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str]
) -> None:
    text = (app / "app.py").read_text().replace("drain_timeout_ms=10_000", "drain_timeout_ms=100")
    (app / "app.py").write_text(text)
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("work", {"gate": str(app / "never")})
    command = start("run", "app:consumer", cwd=app, env=env)
    command.wait_for_out("started")

    command.send(signal.SIGTERM)

    ended = command.wait()
    assert ended.code == 1
    assert "1 handlers were still running" in ended.err


# --- what goes right ------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["app:consumer", "app:make"])
def test_it_handles_messages_until_sigterm_and_finishes_what_runs(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str], target: str
) -> None:
    gate = app / "gate"
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("work", {"n": 1})
        publisher.publish("work", {"n": 2, "gate": str(gate)})
    command = start("run", target, cwd=app, env=env)
    command.wait_for_out("started", 2)

    command.send(signal.SIGTERM)
    command.wait_for_err("consumer.draining")
    gate.touch()

    ended = command.wait()
    assert ended.code == 0
    assert [line.split()[2] for line in ended.out.splitlines() if line.startswith("finished")] == ["1", "2"]
    assert "Traceback" not in ended.err


def test_several_consumers_run_in_one_process_and_stop_together(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str]
) -> None:
    text = (app / "app.py").read_text().replace('os.environ["APP_STREAM"]', 'os.environ["APP_STREAM"] + "-2"')
    (app / "other.py").write_text(text)
    for name in (stream, f"{stream}-2"):
        with Publisher(any_server.url, name) as publisher:
            publisher.publish("work", {"n": name[-2:]})
    command = start("run", "app:consumer", "other:consumer", "--concurrency", "2", cwd=app, env=env)
    command.wait_for_out("finished", 2)

    command.send(signal.SIGTERM)

    ended = command.wait()
    assert ended.code == 0
    processes = {line.split()[1] for line in ended.out.splitlines()}
    assert len(processes) == 1


def test_a_consumer_that_is_named_twice_is_wrong_usage(app: Path, env: dict[str, str]) -> None:
    ended = streamix("run", "app:consumer", "app:make", cwd=app, env=env)

    assert ended.code == 2
    assert "named twice" in ended.err


def test_ctrl_c_stops_it_as_well(start: Start, app: Path, env: dict[str, str]) -> None:
    command = start("run", "app:consumer", cwd=app, env=env)
    command.wait_for_err("consumer.started")

    command.press_ctrl_c()

    assert command.wait().code == 0


def test_a_second_signal_ends_it_at_once(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str]
) -> None:
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish("work", {"gate": str(app / "never")})
    command = start("run", "app:consumer", cwd=app, env=env)
    command.wait_for_out("started")

    command.send(signal.SIGTERM)
    command.wait_for_err("consumer.draining")
    command.send(signal.SIGTERM)

    assert command.wait().code == 128 + signal.SIGTERM


def test_concurrency_takes_the_place_of_the_consumers_own(
    start: Start, any_server: Server, stream: str, app: Path, env: dict[str, str]
) -> None:
    gate = app / "gate"
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish_many(("work", {"n": n, "gate": str(gate)}) for n in range(3))
    command = start("run", "app:consumer", "--concurrency", "3", cwd=app, env=env)

    command.wait_for_out("started", 3)  # with the consumer's own 1, the second would wait for the gate

    gate.touch()
    command.wait_for_out("finished", 3)
    command.send(signal.SIGTERM)
    assert command.wait().code == 0


def test_the_log_level_is_for_applications_without_a_logging_of_their_own(
    start: Start, app: Path, env: dict[str, str]
) -> None:
    write_app(
        app,
        "import logging\nlogging.basicConfig(format='MINE %(message)s', level=20)\nfrom app import *",
        "own.py",
    )
    quiet = start("run", "app:consumer", "--log-level", "error", cwd=app, env=env)
    own = start("run", "own:consumer", cwd=app, env=env)

    own.wait_for_err("^MINE consumer.started")
    for command in (own, quiet):
        command.send(signal.SIGTERM)
    assert own.wait().code == 0
    quiet.wait()
    assert not any("consumer.started" in line for line in quiet.err)
