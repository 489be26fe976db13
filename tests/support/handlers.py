"""Handlers that do what the message tells them, and write down that they did.

``data["do"]`` names a behaviour of `BEHAVIOURS`; without it the handler just succeeds.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamix_queue import Reject, Retry, StreamMessage
from tests.support.fact_log import FactLog

__all__ = ["BEHAVIOURS", "open_log", "record", "record_async"]

Data = dict[str, Any]

_GATE_TIMEOUT_S = 60.0
_log: FactLog | None = None


class Planned(Exception):
    """The failure that a message asked for."""


def open_log(log: FactLog) -> None:
    """Write to ``log`` from now on. Once for a process, before its consumer runs."""
    global _log  # noqa: PLW0603 - a handler has no other way to reach it
    _log = log


def record(data: Data, message: StreamMessage) -> None:
    """Do what the data says, between a record that it started and one of how it ended."""
    log = _log
    assert log is not None, "open_log() comes first"
    about = {"message_id": message.id, "data": data, "event": message.event, "retries": message.retries}
    log.write({"kind": "started", **about})
    try:
        _act(data, message)
    except BaseException as error:
        log.write({"kind": "failed", **about, "error": repr(error)})
        raise
    log.write({"kind": "finished", **about})


async def record_async(data: Data, message: StreamMessage) -> None:
    """As `record`, on the event loop (which a behaviour that blocks does block)."""
    record(data, message)


def _act(data: Data, message: StreamMessage) -> None:
    """One behaviour, then the one under ``then``, if there is one."""
    if (name := data.get("do")) is not None:
        BEHAVIOURS[name](data, message)
    if (then := data.get("then")) is not None:
        _act(then if isinstance(then, dict) else {"do": then}, message)


def _sleep(data: Data, message: StreamMessage) -> None:
    time.sleep(data["s"])


def _fail(data: Data, message: StreamMessage) -> None:
    raise Planned("always")


def _fail_times(data: Data, message: StreamMessage) -> None:
    if message.retries < data["n"]:
        raise Planned(f"{message.retries + 1} of {data['n']}")


def _reject(data: Data, message: StreamMessage) -> None:
    raise Reject(data.get("reason", "as planned"))


def _retry_after(data: Data, message: StreamMessage) -> None:
    if message.retries < data.get("n", 1):
        raise Retry(after=data["s"])


def _exit(data: Data, message: StreamMessage) -> None:
    if _starts(message) <= data.get("times", _ALWAYS):
        os._exit(9)


def _segfault(data: Data, message: StreamMessage) -> None:
    if _starts(message) <= data.get("times", _ALWAYS):
        ctypes.string_at(0)


def _hold_gil(data: Data, message: StreamMessage) -> None:
    if _starts(message) <= data.get("times", _ALWAYS):
        ctypes.PyDLL(None).usleep(int(data["s"] * 1_000_000))


def _hang(data: Data, message: StreamMessage) -> None:
    threading.Event().wait()


def _gate(data: Data, message: StreamMessage) -> None:
    """Wait until the file ``path`` is there, so that a test decides when the handler goes on."""
    deadline, path = time.monotonic() + _GATE_TIMEOUT_S, Path(data["path"])
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {path}")
        time.sleep(0.005)


def _nth(data: Data, message: StreamMessage) -> None:
    """The n-th start does the n-th of ``acts``, all later ones the last."""
    acts = data["acts"]
    _act(acts[min(_starts(message), len(acts)) - 1], message)


_ALWAYS = 1 << 30


def _starts(message: StreamMessage) -> int:
    """How often a handler had begun with this message, in any process, when this one began.

    Those that began later do not count: this process may have been frozen since.
    """
    assert _log is not None
    begun = [r["pid"] for r in _log.read() if r["kind"] == "started" and r["message_id"] == message.id]
    return len(begun) - begun[::-1].index(os.getpid())


BEHAVIOURS: dict[str, Callable[[Data, StreamMessage], None]] = {
    "sleep": _sleep,  # s
    "fail": _fail,
    "fail_times": _fail_times,  # n
    "reject": _reject,  # reason
    "retry_after": _retry_after,  # s, n
    "exit": _exit,  # times: only for the first so many starts
    "segfault": _segfault,  # times
    "hold_gil": _hold_gil,  # s, times
    "hang": _hang,
    "gate": _gate,  # path
    "nth": _nth,  # acts: data for the first start, the second, …
}
