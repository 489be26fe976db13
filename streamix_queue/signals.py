"""SIGTERM and SIGINT: the first stops cleanly, the second ends the process at once."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Signals"]

_HANDLED = (signal.SIGTERM, signal.SIGINT)
_LOOK_AGAIN_S = 0.5


class Signals:
    """Installs handlers while it is entered, on the main thread only.

    A handler interrupts whatever the main thread is doing, so it may take no lock: it only puts
    the number on a `queue.SimpleQueue`, whose ``put`` is made to be interrupted by itself.
    """

    def __init__(self) -> None:
        self._received: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}
        self._count = 0

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _HANDLED:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def wait(self, ended: queue.SimpleQueue[int | None], on_signal: Callable[[], None]) -> None:
        """Wait until ``ended`` holds something; call ``on_signal`` at the first signal."""
        if not self._before:
            ended.get()
            return
        # One queue to wait on: a thread hands the end over, for two cannot be waited on at once.
        threading.Thread(
            target=lambda: self._received.put(ended.get()), name="streamix.end", daemon=True
        ).start()
        while True:
            # Not for ever: the kernel gives a signal to another thread if this one has just been
            # given SIGCONT. Then nothing wakes this one, and Python runs handlers here only.
            with suppress(queue.Empty):
                if self._received.get(timeout=_LOOK_AGAIN_S) is None:
                    return
                on_signal()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(128 + number)
        self._received.put(number)
