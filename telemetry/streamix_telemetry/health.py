"""A small HTTP server: ``/metrics`` for Prometheus, ``/livez`` and ``/readyz`` for probes.

Alive means that every actor makes progress; Redis may be away for as long as it likes, for a
restart would not mend it. Ready means that messages are taken: Redis answers, the group is there,
nobody asked to stop. prometheus_client's own server answers every path with its page, so that a
probe on it always succeeds.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import socketserver
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamix_queue.core.errors import ConfigError

__all__ = ["Health", "HealthServer", "Probe", "port_of_process"]

_MAX_CONNECTIONS = 16
_LONGEST_CONNECTION_S = 10.0
_TICK_S = 1.0  # how often its loop wakes; ten times a second took half the CPU of an idle consumer
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"

_log = logging.getLogger("streamix_queue")


class Health(Protocol):
    """What a probe of one consumer found."""

    @property
    def name(self) -> str:
        """Whose it is."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong; empty if all is well."""
        ...


class Probe(Protocol):
    """Looks after one consumer. Any thread."""

    def live(self) -> Health:
        """Does it make progress?"""
        ...

    def ready(self) -> Health:
        """Does it take messages?"""
        ...


def port_of_process(port: int) -> int:
    """``port``, moved on by the number of this process under ``streamix run --processes``.

    One page cannot speak for several processes, so each has its own; 0 stays 0.
    """
    index = os.environ.get("STREAMIX_PROCESS_INDEX", "")
    return port + int(index) if port and index.isdecimal() else port


class HealthServer:
    """Serves until it is closed: a thread for each connection, 16 at once, for 10 s at most each.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        registry: What ``/metrics`` shows.
        probes: Gives what ``/livez`` and ``/readyz`` ask; without any, both are fine.

    Raises:
        ConfigError: the address cannot be had.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, probes: Callable[[], Sequence[Probe]]
    ) -> None:
        try:
            self._server = _Server((host, port), registry, probes)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"metrics_port={port}: cannot listen on {host}:{port}: {reason}; another port, or 0 for any"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_TICK_S,), name="streamix.health", daemon=True
        )
        self._thread.start()
        _servers.add(self)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more, and end what is under way."""
        with contextlib.suppress(OSError):  # refused on macOS: there it ends with the next tick
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the loop
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections(older_than_s=0.0)
        self._thread.join(2.0)

    def abandon(self) -> None:
        """In a child after a fork: the port is the parent's."""
        self._server.socket.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        registry: CollectorRegistry,
        probes: Callable[[], Sequence[Probe]],
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.registry = registry
        self.probes = probes
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}  # guarded by the lock
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks a name server for our name, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._open) >= _MAX_CONNECTIONS:
                busy = True
            else:
                busy, self._open[request] = False, time.monotonic()
        if busy:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        self.end_connections(older_than_s=_LONGEST_CONNECTION_S)

    def end_connections(self, older_than_s: float) -> None:
        """Break those that take too long; their threads then end by themselves."""
        with self._lock:
            oldest = time.monotonic() - older_than_s
            late = [request for request, since in self._open.items() if since <= oldest]
        for request in late:
            with contextlib.suppress(OSError):  # it may have just ended
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's error."""
        _log.debug("a client of the metrics port went away", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = 5.0  # for each read
    server: _Server
    server_version = "streamix"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            if path == "/metrics":
                status, kind, body = self._metrics()
            elif path == "/livez":
                status, kind, body = _report([probe.live() for probe in self.server.probes()])
            elif path == "/readyz":
                status, kind, body = _report([probe.ready() for probe in self.server.probes()])
            else:
                status, kind, body = 404, _TEXT, b"not found: /metrics, /livez or /readyz\n"
        except Exception:  # noqa: BLE001 - a broken collector of the application's, most likely
            _log.exception("%.100r failed", path)
            status, kind, body = 500, _TEXT, b"failed; the log of the service says why\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as above

    def _metrics(self) -> tuple[int, str, bytes]:
        encode, kind = choose_encoder(self.headers.get("Accept") or "")
        return 200, kind, encode(self.server.registry)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: a line for each scrape helps nobody."""


def _report(found: Sequence[Health]) -> tuple[int, str, bytes]:
    checks = {health.name: list(health.problems) or "ok" for health in found}
    well = not any(health.problems for health in found)
    body = json.dumps({"status": "ok" if well else "failing", "checks": checks}) + "\n"
    return 200 if well else 503, _JSON, body.encode()


_servers: weakref.WeakSet[HealthServer] = weakref.WeakSet()


def _forked() -> None:
    for server in list(_servers):
        server.abandon()


os.register_at_fork(after_in_child=_forked)
