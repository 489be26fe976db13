"""Reports to systemd how the service is (``Type=notify``, ``WatchdogSec``): a datagram for each report."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

__all__ = ["ServiceManager", "State"]

_LOOK_EVERY_S = 0.2


class State(NamedTuple):
    """How a service is."""

    started: bool
    healthy: bool
    stopping: bool


class ServiceManager:
    """While it is entered, a thread reports what ``look`` finds. Does nothing unless systemd asked for it.

    If that thread is not scheduled, the watchdog is not fed: systemd is to notice that as well.

    Args:
        look: Finds out how the service is; called on a thread of its own.
        environ: Holds what systemd asks for. It is removed from there, so that no child process
            reports for this one.
    """

    def __init__(self, look: Callable[[], State], environ: MutableMapping[str, str] = os.environ) -> None:
        self._look = look
        self._address = environ.pop("NOTIFY_SOCKET", "")
        patience, whose = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        asked = patience.isdecimal() and whose in ("", str(os.getpid()))
        # Twice in that time, as systemd recommends.
        self._feed_every_s = int(patience) / 2e6 if asked and int(patience) else None
        self._sent: set[str] = set()
        self._feed_at = 0.0
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="streamix.systemd", daemon=True)

    def __enter__(self) -> ServiceManager:
        if self._address:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)
            self._send_once("STOPPING=1")

    def _watch(self) -> None:
        every = min(_LOOK_EVERY_S, self._feed_every_s or _LOOK_EVERY_S)
        while not self._left.wait(every):
            state = self._look()
            if state.started:
                self._send_once("READY=1")
            if state.stopping:
                self._send_once("STOPPING=1")
            if self._feed_every_s and state.healthy and time.monotonic() >= self._feed_at:
                self._feed_at = time.monotonic() + self._feed_every_s
                self._send("WATCHDOG=1")

    def _send_once(self, what: str) -> None:
        if what not in self._sent:
            self._sent.add(what)
            self._send(what)

    def _send(self, what: str) -> None:
        # A leading @ stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(what.encode(), address)
