"""The load generator for a service of one's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from load.machine import ROOT
from load.publish import Generator, _duration, _payloads, main
from streamix_queue.core.wire import decode
from streamix_queue.local_server.loopback import free_loopback_port
from tests.support.servers import Server

# As if it were installed, which a test run need not have done.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "telemetry")])}


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "load.publish", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments)
    said, complained = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def on_stream(server: Server, stream: str) -> list[Any]:
    with server.client() as client:
        return [decode(fields[b"message"]) for _, fields in client.xrange(stream)]


def test_it_sends_as_many_as_asked_at_the_rate_and_reports(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    answer = run(
        "--url", any_server.url, "--stream", stream, "--event", "user.created", "--payload", '{"id": 7}',
        "--rate", "100", "--duration", "1500ms", "--every", "0.5", "--json", str(tmp_path / "report.json"),
    )  # fmt: skip

    assert answer.returncode == 0, answer.stderr
    assert time.monotonic() - began >= 1.4
    messages = on_stream(any_server, stream)
    assert len(messages) == 150
    assert {message.event for message in messages} == {"user.created"}
    assert messages[0].data == {"id": 7}
    assert "150 of 150 sent" in answer.stdout
    assert re.search(r"p99 \d+\.\d+ ms", answer.stdout)
    progress = [line for line in answer.stderr.splitlines() if "p50" in line]
    assert len(progress) >= 2
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["sent"], report["unknown"], report["errors"]) == (150, 0, {})


def test_the_lines_of_a_file_are_used_in_turn(any_server: Server, stream: str, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"n": 1}\n{"n": 2}\n\n{"n": 3}\n', encoding="utf-8")

    answer = run(
        "--url", any_server.url, "--stream", stream, "--event", "e", "--payload", f"@{file}",
        "--rate", "1000", "--count", "7", "--threads", "1",
    )  # fmt: skip

    assert answer.returncode == 0, answer.stderr
    assert [message.data["n"] for message in on_stream(any_server, stream)] == [1, 2, 3, 1, 2, 3, 1]


def test_run_as_a_file_it_is_the_same() -> None:
    file = ROOT / "load" / "publish.py"
    answer = subprocess.run(
        [sys.executable, file, "--help"], capture_output=True, text=True, timeout=60, check=True
    )

    assert "--payload" in answer.stdout


def test_ctrl_c_ends_it_with_a_report_of_what_was_sent(any_server: Server, stream: str) -> None:
    long = "--rate", "50", "--duration", "1h", "--every", "0.2"
    process = start("--url", any_server.url, "--stream", stream, "--event", "e", *long)
    assert process.stderr is not None
    process.stderr.readline()  # it is under way
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 1  # not all that was asked for
    sent = int(re.match(r"(\d+) of 180,000 sent", said).group(1))  # type: ignore[union-attr]
    assert sent == len(on_stream(any_server, stream)) > 0


def test_without_a_server_every_message_is_an_error_with_its_reason(tmp_path: Path) -> None:
    url = f"redis://user:secret@127.0.0.1:{free_loopback_port()}/0"
    few = "--rate", "100", "--count", "2", "--threads", "2"

    answer = run("--url", url, "--event", "e", *few, "--json", str(tmp_path / "report.json"))

    assert answer.returncode == 1
    assert "0 of 2 sent" in answer.stdout
    assert "2 × BrokerUnavailable" in answer.stdout
    report = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert "secret" not in answer.stdout + answer.stderr + report


def test_a_slow_server_shows_in_the_percentiles_and_not_only_in_the_rate() -> None:
    def slow(payload: dict[str, Any]) -> None:
        time.sleep(0.02)

    generator = Generator(slow, [{}], rate=500, count=50)
    for worker in generator.run(threads=1):
        worker.join(30)

    # Each takes 20 ms and is due after 2: the last one is late by all that the others took.
    assert generator.sent == 50
    assert generator.all.percentile(100) >= 50 * 0.018
    assert generator.late_s >= 49 * 0.018


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "0"], "expected a number above 0"),
        (["--rate", "nan"], "expected a number above 0"),
        (["--duration", "5"], "expected a number with a unit"),
        (["--duration", "-5s"], "expected"),
        (["--payload", "[1]"], "expected a JSON object"),
        (["--payload", '{"a": 1'], "line 1 is not JSON"),
        (["--payload", "@/does/not/exist"], "No such file"),
        (["--threads", "0"], "expected 1 or more"),
        (["--count", "0"], "expected 1 or more"),
        (["--url", "http://127.0.0.1"], "http"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_sent(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main(["--event", "e", *arguments])
    except SystemExit as ended:
        status = ended.code

    assert status == 2
    assert told in capsys.readouterr().err


def test_durations_and_payloads_are_read_as_written() -> None:
    assert [_duration(text) for text in ("250ms", "30s", "5m", "1.5h")] == [0.25, 30.0, 300.0, 5400.0]
    assert _payloads('{"a": 1}') == [{"a": 1}]
