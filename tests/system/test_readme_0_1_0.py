"""Every call, default, shape and key of 0.1.0's README still works; the README is read from its wheel."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import streamix_queue
from streamix_queue import StreamMessage, consume, publish
from streamix_queue.core.registration import takes_message
from tests.support.json_values import envelope_of_0_1_0
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.old_release import OldRelease
from tests.support.servers import Server

old = OldRelease()
CALLS: dict[str, Callable[..., Any]] = {"publish": publish, "consume": consume}
ROOT = Path(__file__).parents[2]
SOON_S = 20.0

# What stands for the old default, and does what it did.
STAND_INS = {
    ("publish", "group"): None,  # "app.workers", which had no effect
    ("consume", "batch_size"): None,  # 10: where it starts before it tunes itself
}


def parameters_of(call: Any) -> list[tuple[str, str, Any]]:
    return [
        (
            parameter.name,
            parameter.kind.name,
            None if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(call).parameters.values()
    ]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", old.readme, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text of one section of the README."""
    return re.split(r"^#+ ", old.readme.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


# --- signatures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_every_parameter_of_0_1_0_is_still_there_with_its_default(name: str) -> None:
    theirs = old.signatures(name)[name]
    ours = parameters_of(CALLS[name])

    expected = [(option, kind, STAND_INS.get((name, option), default)) for option, kind, default in theirs]
    assert ours[: len(theirs)] == expected, "in the same order; new ones come after them"
    assert {kind for _, kind, _ in ours[len(theirs) :]} <= {"KEYWORD_ONLY"}


LISTED = re.compile(r"^- `(\w+)` \((\w+)(?:, default=([^)]+)|, optional)?\)", re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "title", "count"),
    [
        ("publish", "`publish(event, data, **kwargs)`", 5),
        ("consume", "`consume(event, handler, **kwargs)`", 10),
    ],
)
def test_every_parameter_that_the_readme_lists_is_still_there_with_its_default(
    name: str, title: str, count: int
) -> None:
    parameters = inspect.signature(CALLS[name]).parameters
    listed = LISTED.findall(section(title))

    for option, kind, default in listed:
        ours = parameters[option].default
        if (name, option) in STAND_INS:
            assert ours is STAND_INS[name, option]
        elif default:
            assert ours == ast.literal_eval(default)
            assert type(ours).__name__ == kind
        else:
            assert ours in (inspect.Parameter.empty, None)
    assert len(listed) == count, "all of them were found"


def test_every_call_in_the_readme_is_a_call_of_ours() -> None:
    calls = [
        node
        for block in blocks("python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS
    ]
    for call in calls:
        assert isinstance(call.func, ast.Name)
        keywords = {str(keyword.arg): object() for keyword in call.keywords}
        inspect.signature(CALLS[call.func.id]).bind(*(object() for _ in call.args), **keywords)

    assert len(calls) == 7


def test_every_import_in_the_readme_is_there() -> None:
    names = [
        alias.name
        for block in blocks("python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module == "streamix_queue"
        for alias in node.names
    ]

    assert sorted(names) == ["consume", "publish"]
    assert all(hasattr(streamix_queue, name) for name in names)


def test_both_forms_of_a_handler_are_told_apart() -> None:
    (block,) = [block for block in blocks("python") if "Advanced" in block]
    simple, advanced = re.split(r"^# Advanced.*$", block, flags=re.MULTILINE)

    for source, wants_message in ((simple, False), (advanced, True)):
        scope: dict[str, Any] = {}
        exec(source, scope)
        assert takes_message(scope["handler"]) is wants_message


# --- the quick start, as it stands --------------------------------------------------------------------------


def run_as_script(source: str, folder: Path, name: str) -> subprocess.Popen[str]:
    script = folder / name
    script.write_text(source)
    path = os.pathsep.join([str(ROOT), str(ROOT / "telemetry")])
    return subprocess.Popen(
        [sys.executable, "-u", str(script)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_quick_start_runs_as_it_stands(any_server: Server, tmp_path: Path) -> None:
    service_a, service_b = (
        block.replace("redis://localhost:6379/0", any_server.url) for block in blocks("python")[:2]
    )
    consumer = run_as_script(service_a, tmp_path, "service_a.py")
    try:
        publisher = run_as_script(service_b, tmp_path, "service_b.py")
        assert publisher.communicate(timeout=SOON_S) == ("", "")
        assert publisher.returncode == 0

        assert consumer.stdout is not None
        assert consumer.stdout.readline() == "User created: 123\n"
        with any_server.client() as client:
            eventually(lambda: pending(client, "app.events", "service-a") == 0)
        consumer.send_signal(signal.SIGTERM)
        assert consumer.wait(SOON_S) == 0
    finally:
        consumer.kill()
        consumer.communicate()


# --- shapes ------------------------------------------------------------------------------------------------


def keys_of(value: Any) -> Any:
    return {key: keys_of(inner) for key, inner in value.items()} if isinstance(value, dict) else ...


def documented(marker: str) -> dict[str, Any]:
    (block,) = [block for block in blocks("json") if marker in block]
    value: dict[str, Any] = json.loads(block.replace("{...}", '{"created_at": "", "updated_at": ""}'))
    return value


def test_a_message_has_the_documented_shape(any_server: Server, stream: str) -> None:
    expected = documented('"email"')

    message = publish("user.created", expected["data"], redis_url=any_server.url, stream=stream)

    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
    written = json.loads(fields[b"message"])
    assert keys_of(written) == keys_of(expected)
    assert list(written) == list(expected), "in the order that is documented"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", message.id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", message.timestamps.created_at)
    assert fields[b"message"] == envelope_of_0_1_0(message)
    # Where the application traces, its context lies beside it, where 0.1.0 does not look.
    assert set(fields) - {b"traceparent", b"tracestate"} == {b"message"}


def test_publish_returns_the_message(any_server: Server, stream: str) -> None:
    message = publish(
        "user.created", {"user_id": "123"}, redis_url=any_server.url, stream=stream, group="service-a"
    )

    assert isinstance(message, StreamMessage)
    assert (message.event, message.data, message.retries) == ("user.created", {"user_id": "123"}, 0)
    assert message.timestamps.created_at == message.timestamps.updated_at


@pytest.mark.parametrize(
    ("event", "data", "kind", "text"),
    [
        ("", {}, ValueError, "event must be a non-empty string"),
        ("e", [1], TypeError, "data must be a dictionary"),
        ("e", None, TypeError, "data must be a dictionary"),
        ("e", {"a": {1}}, TypeError, "set"),
    ],
)
def test_bad_input_is_still_the_same_kind_of_error(
    event: str, data: Any, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        publish(event, data, redis_url="redis://127.0.0.1:1/0")


def test_a_message_is_tried_1_plus_3_times_and_then_dead_lettered(any_server: Server, stream: str) -> None:
    def fail(data: Any, message: StreamMessage) -> None:
        raise TimeoutError("Connection timeout...")

    expected = documented("original_id")
    handler = Handler(fail)
    consumer = member(any_server.url, stream, "service-a", consumer="worker-1")
    consumer.on("user.created", handler)
    with any_server.client() as client:
        message = publish("user.created", {"user_id": "123"}, redis_url=any_server.url, stream=stream)
        with consumer:
            eventually(lambda: client.xlen(f"{stream}:failed") == 1)
            consumers: Any = client.xinfo_consumers(stream, "service-a")
        ((source, _),) = client.xrange(stream)
        (letter,) = dead_letters(client, stream)

    assert [call.message.retries for call in handler.calls] == [0, 1, 2, 3]
    assert b"worker-1" in [info["name"] for info in consumers]
    envelope = json.loads(letter.fields[b"message"])
    assert list(envelope) == list(expected)
    assert set(expected["data"]) <= set(envelope["data"])
    assert (envelope["event"], envelope["retries"]) == (expected["event"], expected["retries"])
    assert {key: letter.data[key] for key in expected["data"]} == {
        "original_id": message.id,
        "original_event": "user.created",
        "original_data": expected["data"]["original_data"],
        "source_stream_id": source.decode(),
        "retries": 3,
        "error": "Connection timeout...",
    }


def test_the_inspections_of_the_readme_still_show_something(
    any_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = Handler(lambda data, message: 1 / 0)
    consumer = member(any_server.url, "app.events", "service-a", retry_limit=0)
    consumer.on("user.created", handler)
    message = publish("user.created", {"user_id": "123"}, redis_url=any_server.url)
    with any_server.client() as client, consumer:
        eventually(lambda: client.xlen("app.events:failed") == 1)
        eventually(lambda: pending(client, "app.events", "service-a") == 0)

    for block in blocks("python"):
        if "from redis import Redis" in block:
            scope: dict[str, Any] = {}
            exec(block.replace("redis://localhost:6379/0", any_server.url), scope)
            scope["r"].close()

    shown = capsys.readouterr().out
    assert "'pending': 0" in shown
    assert message.id in shown
