"""`streamix top`: on a real terminal of its own, and one frame off it."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Publisher
from tests.cli.run.apps import write_app
from tests.support.command import COMMAND, Running, environment, streamix
from tests.support.servers import Server
from tests.support.terminal import OnTerminal

HOSTILE = "\x1b[2Jevil\u202e"
APP = """\
    import os, time
    from streamix_queue import Consumer

    consumer = Consumer(
        os.environ["APP_URL"], os.environ["APP_STREAM"], "workers", block_ms=300, metrics_port=0
    )

    @consumer.on("work")
    def work(data):
        os.write(1, f"metrics on {consumer.metrics_port}\\n".encode())
        time.sleep(0.002)
"""


class Screen(OnTerminal):
    """The command on a terminal of 30 lines."""

    def __init__(self, *arguments: str, env: dict[str, str], width: int = 140) -> None:
        super().__init__([*COMMAND, "top", *arguments], env=environment(**env), lines=30, columns=width)

    @property
    def is_as_before(self) -> bool:
        """The other screen is left, the cursor is seen, and keys are echoed as they were."""
        return (
            "\x1b[?1049l" in self.shown
            and self.shown.rfind("\x1b[?25h") > self.shown.rfind("\x1b[?25l")
            and self.modes_are_as_before
        )


@pytest.fixture
def top() -> Iterator[Callable[..., Screen]]:
    """Start the command on a terminal; what still runs at the end of the test is ended."""
    started: list[Screen] = []

    def run(*arguments: str, env: dict[str, str], width: int = 140) -> Screen:
        started.append(Screen("--interval", "200ms", *arguments, env=env, width=width))
        return started[-1]

    yield run
    for screen in started:
        screen.close()


@pytest.fixture
def traffic(any_server: Server, stream: str) -> Iterator[None]:
    """Somebody publishes all the time."""
    done = threading.Event()

    def publish() -> None:
        with Publisher(any_server.url, stream) as publisher:
            while not done.wait(0.01):
                publisher.publish("work", {"n": 1})

    thread = threading.Thread(target=publish)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.fixture
def metrics(
    traffic: None, any_server: Server, stream: str, start: Callable[..., Running], tmp_path: Path
) -> str:
    """Where a consumer that is at work serves its metrics."""
    app_env = {"APP_URL": any_server.url, "APP_STREAM": stream}
    consumer = start("run", "app:consumer", env=app_env, cwd=write_app(tmp_path, APP))
    port = consumer.wait_for_out(r"metrics on (\d+)")[0]
    return f"http://127.0.0.1:{port}/metrics"


def group_on(server: Server, stream: str, group: str = "billing", consumer: str = "w1") -> None:
    client = server.client()
    client.xgroup_create(stream, group, id="0", mkstream=True)
    for _ in range(3):
        client.xadd(stream, {"message": "{}"})
    client.xreadgroup(group, consumer, {stream: ">"}, count=2)


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["-o", "json"]])
def test_off_a_terminal_it_says_what_to_do_instead(env: dict[str, str], arguments: list[str]) -> None:
    ended = streamix("top", *arguments, env=env)

    assert (ended.code, ended.out) == (2, "")
    assert "--once" in ended.err
    assert "streamix lag --watch" in ended.err


@pytest.mark.parametrize("interval", ["0", "99ms", "999999999d"])
def test_an_interval_out_of_reason_is_wrong_usage(env: dict[str, str], interval: str) -> None:
    assert streamix("top", "--once", "--interval", interval, env=env).code == 2


@pytest.mark.parametrize("url", ["", "nonsense", "https://localhost", "http://", "http://h:x", "http://h/\n"])
def test_a_metrics_page_that_cannot_be_is_wrong_usage(env: dict[str, str], url: str) -> None:
    assert streamix("top", "--once", "--metrics", url, env=env).code == 2


def test_a_group_that_is_not_there_is_not_found(any_server: Server, env: dict[str, str], stream: str) -> None:
    group_on(any_server, stream)

    ended = streamix("top", "--once", "--group", "biling", env=env)

    assert ended.code == 5
    assert "Did you mean 'billing'?" in ended.err


def test_without_redis_it_does_not_begin(nowhere: dict[str, str], top: Callable[..., Screen]) -> None:
    ended = streamix("top", "--once", env=nowhere)
    screen = top(env=nowhere)

    assert (ended.code, screen.end()) == (3, 3)
    assert "hunter2" not in ended.err + screen.shown
    assert "\x1b[?1049h" not in screen.shown


# --- one frame ------------------------------------------------------------------------------------


def test_one_frame_on_every_server(server: Server, stream: str) -> None:
    group_on(server, stream)
    server.client().xadd(f"{stream}:failed", {"message": "{}"})

    ended = streamix(
        "top", "--once", "--interval", "100ms", "-o", "json", "--redis-url", server.url, "--stream", stream
    )

    found: dict[str, Any] = json.loads(ended.out)
    (billing,), (w1,) = found["groups"], found["members"]
    assert (ended.code, ended.err) == (0, "")
    assert (found["stream"], found["entries"], found["published_per_s"]) == (stream, 3, 0.0)
    assert (billing["group"], billing["read_per_s"], billing["handled_per_s"]) == ("billing", 0.0, 0.0)
    assert (billing["lag"], billing["pending"], billing["members_active"]) == (1, 2, 1)
    assert 0 <= billing["undelivered_age_s"] < 60
    assert (w1["member"], w1["pending"]) == ("w1", 2)


def test_a_stream_that_is_not_there_is_empty(env: dict[str, str]) -> None:
    ended = streamix("top", "--once", "--interval", "100ms", env=env)

    assert ended.code == 0
    assert "0 entries, 0.0 published/s, 0 dead letters" in ended.out


def test_a_key_of_another_type_is_told(any_server: Server, env: dict[str, str], stream: str) -> None:
    any_server.client().set(stream, "x")

    ended = streamix("top", "--once", env=env)

    assert ended.code not in (0, 70)
    assert "WRONGTYPE" in ended.err


def test_a_page_that_never_answers_costs_a_line_and_little_time(
    any_server: Server, env: dict[str, str], stream: str
) -> None:
    group_on(any_server, stream)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://me:hunter2@127.0.0.1:{silent.getsockname()[1]}/metrics"
        ended = streamix("top", "--once", "--interval", "100ms", "--metrics", url, env=env)

    assert ended.code == 0
    assert "billing" in ended.out
    assert "no metrics of 127.0.0.1:" in ended.err
    assert "hunter2" not in ended.err


def test_a_frame_of_a_working_consumer_has_rates(env: dict[str, str], metrics: str) -> None:
    ended = streamix("top", "--once", "--interval", "1s", "--metrics", metrics, "-o", "json", env=env)

    found: dict[str, Any] = json.loads(ended.out)
    (workers,), (work,), (threads,) = found["groups"], found["handlers"], found["workers"]
    assert found["published_per_s"] > 0
    assert workers["read_per_s"] > 0
    assert workers["handled_per_s"] > 0
    assert (work["event"], work["handled_per_s"] > 0, work["failed_per_s"]) == ("work", True, 0.0)
    assert 0.002 <= work["p50_s"] <= work["p99_s"] < 30
    assert threads["busy"] + threads["idle"] > 0
    assert threads["restarts"] == 0
    assert found["problems"] == []


def test_a_page_of_another_stream_is_told(env: dict[str, str], metrics: str, stream: str) -> None:
    other = f"{stream}.other"

    ended = streamix("top", "--once", "--interval", "100ms", "--metrics", metrics, "--stream", other, env=env)

    assert ended.code == 0
    assert f"tells nothing of stream '{other}'" in ended.err


# --- the screen -----------------------------------------------------------------------------------


def test_the_screen_shows_rates_and_percentiles_until_q(
    env: dict[str, str], metrics: str, top: Callable[..., Screen]
) -> None:
    screen = top("--metrics", metrics, env=env)
    screen.wait_for(r"\x1b\[\?1049h")
    rate = r"[1-9][0-9.]*|0\.[1-9]"

    screen.wait_for(rf"workers +({rate}) +({rate}) ")
    screen.wait_for(rf"work +workers +({rate}) +0\.0 +[0-9.]+m?s +[0-9.]+m?s ")
    screen.press("x")
    screen.wait_for(r"WORKERS OF +BUSY +IDLE +RESTARTS")
    screen.press("q")

    assert screen.end() == 0
    assert screen.is_as_before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_it_and_the_terminal_is_as_before(
    any_server: Server,
    env: dict[str, str],
    stream: str,
    top: Callable[..., Screen],
    number: signal.Signals,
    code: int,
) -> None:
    group_on(any_server, stream)
    screen = top("--interval", "10s", env=env)
    screen.wait_for("billing")

    screen.send(number)

    assert screen.end() == code
    assert screen.is_as_before
    assert "Traceback" not in screen.shown


def test_it_outlives_redis_and_its_metrics_page(
    start_server: Callable[..., Server], stream: str, top: Callable[..., Screen]
) -> None:
    server = start_server("valkey9")
    group_on(server, stream)
    env = {"STREAMIX_REDIS_URL": server.url, "STREAMIX_STREAM": stream}
    screen = top("--metrics", "http://127.0.0.1:1", env=env)
    screen.wait_for(r"no metrics of 127\.0\.0\.1:1")
    screen.wait_for("stream .*: 3 entries")

    server.kill()
    screen.wait_for("Redis cannot be asked, trying again")
    screen.wait_for("billing")  # what was known last stays
    server.restart()
    screen.wait_for("stream .*: 0 entries")
    group_on(server, stream, "mailer")
    screen.wait_for(r"mailer +0\.0 +0\.0 +1 +2 ")
    screen.press("q")

    assert screen.end() == 0
    assert screen.is_as_before


def test_hostile_names_cannot_steer_the_terminal(
    any_server: Server, env: dict[str, str], stream: str, top: Callable[..., Screen]
) -> None:
    group_on(any_server, stream, f"{HOSTILE}g", f"{HOSTILE}m")
    group_on(any_server, f"{stream}[red]{HOSTILE}")
    screen = top(env=env)
    screen.wait_for(r"\\x1b\[2Jevil\\u202eg +[-0]")
    screen.wait_for(r"\\x1b\[2Jevil\\u202em +")
    other = top("--stream", f"{stream}[red]{HOSTILE}", env=env)
    other.wait_for(r"\[red\]\\x1b\[2Jevil")
    for each in (screen, other):
        each.press("q")
        assert each.end() == 0
        assert HOSTILE not in each.shown
        assert "\x1b[2J" not in each.shown


def test_many_members_on_a_small_terminal_are_cut_with_a_count(
    any_server: Server, env: dict[str, str], stream: str, top: Callable[..., Screen]
) -> None:
    group_on(any_server, stream, "g" * 200, "m" * 200)
    for n in range(100):
        any_server.client().xgroup_createconsumer(stream, "g" * 200, f"member-{n}")

    screen = top(env=env, width=80)

    screen.wait_for(r"g… +0\.0 +0\.0 +1 +2 +0 +0 ")
    screen.wait_for(r"m… +g+… +2 +0 ")
    screen.wait_for(r"and \d+ more members")
    screen.press("q")
    assert screen.end() == 0
