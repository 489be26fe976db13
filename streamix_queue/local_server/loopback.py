"""A free TCP port for a server on this machine, and whether the server is ready to be used."""

from __future__ import annotations

import random
import re
import socket
from pathlib import Path

__all__ = ["Address", "free_loopback_port", "probe"]

Address = Path | int
"""A unix socket, or a TCP port of 127.0.0.1."""

_LOOPBACK = "127.0.0.1"
_PROBE_TIMEOUT_S = 0.5
_ANSWER_LIMIT = 65_536  # bytes; INFO server is far shorter, so what sends more is no Redis
_PROCESS_ID = re.compile(rb"\bprocess_id:(\d+)\r\n")

# Linux's default; where the file is missing (macOS) ports below this are just as free.
_EPHEMERAL_PORTS = (32768, 60999)


def probe(address: Address, pid: int) -> str:
    """Ask the server at ``address`` whether it is ready.

    Without a client library: while the server starts its port refuses connections, and a library
    would retry, negotiate a protocol or keep the connection open.

    Returns:
        ``"ready"``, or the reason why it is not: what was answered (``"-LOADING ..."`` while it
        reads its data), or what the system said. Also when the server there is not process
        ``pid``: another one may have been faster to take the port.
    """
    try:
        with _connect(address) as connection:
            connection.sendall(b"PING\r\nINFO server\r\n")
            answer = b""
            while not (found := _PROCESS_ID.search(answer)):
                received = connection.recv(65_536)
                if not received or len(answer) > _ANSWER_LIMIT:
                    return f"unexpected answer {answer[:200]!r}"
                answer += received
    except OSError as error:
        return str(error)
    if int(found[1]) != pid:
        return f"process {int(found[1])} answers in its place"
    return "ready" if answer.startswith(b"+PONG\r\n") else answer.split(b"\r\n")[0].decode(errors="replace")


def _connect(address: Address) -> socket.socket:
    if isinstance(address, int):
        return socket.create_connection((_LOOPBACK, address), timeout=_PROBE_TIMEOUT_S)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_PROBE_TIMEOUT_S)
        connection.connect(str(address))
    except BaseException:  # Ctrl-C as well: nobody else knows of the socket
        connection.close()
        raise
    return connection


def free_loopback_port() -> int:
    """Pick a TCP port of 127.0.0.1 that nobody listens on.

    Never an ephemeral one: while the server is down (a restart, a test that kills it), a client
    that keeps connecting would sooner or later be given that very number as its own source port,
    connect to itself and hold the port against the server.

    Raises:
        OSError: No free port was found.
    """
    lowest, highest = _ephemeral_ports()
    candidates = [port for port in range(10_000, 65_536) if not lowest <= port <= highest]
    refused: OSError | None = None
    for port in random.sample(candidates, k=50):
        with socket.socket() as candidate:
            # As servers do: a connection in TIME_WAIT is no reason to refuse the port.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((_LOOPBACK, port))
            except OSError as error:
                refused = error
                continue
            return port
    raise OSError("no free port on 127.0.0.1") from refused


def _ephemeral_ports() -> tuple[int, int]:
    try:
        lowest, highest = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except OSError:
        return _EPHEMERAL_PORTS
    # A machine may have widened the range to all ports; then nothing is left to avoid.
    if int(lowest) <= 10_000 and int(highest) >= 65_000:
        return (0, 0)
    return int(lowest), int(highest)
