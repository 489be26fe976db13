"""`streamix health`, asked of real consumers and of what is none."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.command import environment, streamix
from tests.support.members import eventually, member
from tests.support.servers import Server


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server that always answers the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("what", ["--live", "--ready"])
def test_nobody_there_is_a_no(what: str) -> None:
    ended = streamix("health", what, "--url", "http://127.0.0.1:1")

    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("no answer from 127.0.0.1:1: ")


@pytest.mark.parametrize(
    "url", ["", "nonsense", "https://localhost", "http://", "http://h:x", "http://h:99999", "http://é..x"]
)
def test_a_url_that_cannot_be_is_wrong_usage(url: str) -> None:
    assert streamix("health", "--url", url).code == 2


def test_one_that_never_answers_is_a_no_in_time() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = streamix("health", "--timeout", "0.2", "--url", url)

    assert ended.code == 1
    assert "timed out" in ended.out


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b'{"checks": {"billing": ["it hangs", "x"], "mailer": "ok"}}', "billing: it hangs, x"),
        (503, b'{"checks": {"\\u001b[2J": ["\\n"]}}', "\\x1b[2J: \\n"),
        (503, b"no json", "status 503"),
        (404, b"[]", "status 404"),
        (500, b"", "status 500"),
    ],
)  # fmt: skip
def test_a_no_is_told_with_its_reason_on_one_line(status: int, body: bytes, said: str) -> None:
    with answering(status, body) as url:
        ended = streamix("health", "--url", url)

    assert (ended.code, ended.err) == (1, "")
    assert said in ended.out
    assert ended.out.count("\n") == 1


def test_a_running_consumer_is_live_and_ready(any_server: Server, stream: str) -> None:
    consumer = member(any_server.url, stream, metrics_port=0)
    consumer.on("e", lambda data: None)
    with consumer:
        url = f"http://127.0.0.1:{consumer.metrics_port}"
        live = streamix("health", "--live", env={"STREAMIX_HEALTH_URL": url})
        eventually(lambda: streamix("health", "--ready", "--url", url).code == 0, what="it is ready")
        by_port = streamix("health", env={"STREAMIX_METRICS_PORT": str(consumer.metrics_port)})

    assert (live.code, live.out, live.err) == (0, "ok\n", "")
    assert (by_port.code, by_port.out, by_port.err) == (0, "ok\n", "")


def test_a_port_that_is_none_is_passed_over() -> None:
    ended = streamix("health", env={"STREAMIX_METRICS_PORT": "tcp://10.0.0.1:80"})

    assert ended.out.startswith("no answer from 127.0.0.1:9464: ") or ended.code == 0


def test_it_starts_without_what_takes_long() -> None:
    code = (
        "import sys\n"
        "from streamix_queue.cli import main\n"
        "assert main(['health', '--url', 'http://127.0.0.1:1']) == 1\n"
        "slow = {'redis', 'rich', 'msgspec', 'structlog', 'opentelemetry', 'prometheus_client'}\n"
        "print('LOADED', sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "LOADED []" in done.stdout
