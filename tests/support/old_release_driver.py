"""Run the published 0.1.0: ``python old_release_driver.py WHEEL COMMAND [REQUEST]``, see `old_release`.

It has our import name, so it needs a process of its own, where its wheel comes first on the path.
A request is JSON, on stdin unless it is given; the answer is JSON on stdout.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

Data = dict[str, Any]


def publish(request: Data) -> list[Data]:
    from streamix_queue import publish

    where = {"redis_url": request["url"], "stream": request["stream"]}
    return [publish(event, data, **where).to_dict() for event, data in request["events"]]


def encode(messages: list[Data]) -> list[str]:
    schemas = _schemas()
    return [schemas.StreamMessage.from_dict(message).to_stream_fields()["message"] for message in messages]


def decode(entries: list[dict[str, str]]) -> list[Data]:
    schemas = _schemas()
    return [schemas.StreamMessage.from_stream_fields(fields).to_dict() for fields in entries]


def signatures(names: list[str]) -> dict[str, list[tuple[str, str, Any]]]:
    import streamix_queue

    return {
        name: [
            (
                parameter.name,
                parameter.kind.name,
                None if parameter.default is parameter.empty else parameter.default,
            )
            for parameter in inspect.signature(getattr(streamix_queue, name)).parameters.values()
        ]
        for name in names
    }


def consume(plan: Data) -> None:
    from streamix_queue import consume

    log = os.open(plan["log"], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def handler(data: Data, message: Any) -> None:
        called = {"message": message.to_dict(), "encoded": message.to_stream_fields()["message"]}
        os.write(log, json.dumps(called).encode() + b"\n")
        if data.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if message.retries < data.get("failures", 0):
            raise RuntimeError(f"attempt {message.retries + 1} of {data['failures']} that fail")
        time.sleep(data.get("seconds", 0.0))

    if plan["rounds"] is not None:
        _end_after(plan["rounds"])
    consume(plan["event"], handler, **plan["options"])


def _end_after(rounds: int) -> None:
    """It consumes for ever and knows no stop; a test that needs one ends it after so many reads."""
    import streamix_queue.consumer

    def run(engine: Any) -> None:
        for _ in range(rounds):
            engine.consume_once()

    streamix_queue.consumer.ConsumerEngine.run_forever = run  # type: ignore[attr-defined]


def _schemas() -> Any:
    import streamix_queue.schemas

    return streamix_queue.schemas


def main(wheel: str, command: str, request: str | None = None) -> None:
    sys.path.insert(0, wheel)
    import streamix_queue

    if not streamix_queue.__file__.startswith(wheel):
        raise SystemExit(f"{streamix_queue.__file__} is not the old release")
    commands: dict[str, Callable[[Any], Any]] = {
        "publish": publish,
        "encode": encode,
        "decode": decode,
        "signatures": signatures,
        "consume": consume,
    }
    print(json.dumps(commands[command](json.loads(request or sys.stdin.read()))))


if __name__ == "__main__":
    main(*sys.argv[1:])
