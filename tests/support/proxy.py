"""A TCP proxy in front of a server that does what networks do: delay, stall, cut, lose a message."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from streamix_queue.broker.redis.link import load_script

__all__ = ["Fault", "Proxy"]

Command = list[bytes]

_CHUNK = 1 << 20


@dataclass
class Fault:
    """One planned loss: a command that is never carried out, or a reply that does not arrive.

    Attributes:
        happened: Set when it has.
    """

    names: frozenset[bytes]
    nth: int
    holding: bytes
    let_through: int
    of_request: bool = False
    happened: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout_s: float = 10.0) -> None:
        assert self.happened.wait(timeout_s), f"nothing of {self.names} was lost within {timeout_s} s"


class Proxy:
    """Listens on a loopback port of its own and speaks to the server behind it.

    Everything that breaks a connection here is `shutdown`: closing a socket that another thread
    is blocked on sends nothing to the other side.
    """

    def __init__(self, server_port: int) -> None:
        self.delay_s = 0.0
        """Added to every reply."""
        self.refusing = False
        """Cut each new connection as soon as it is made."""
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()  # guards the fields below
        self._faults: list[Fault] = []
        self._seen: Counter[bytes] = Counter()
        self._live: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self.start(self._accept)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    # --- what a test does with it -----------------------------------------------------------

    def lose_reply(self, command: str, *, nth: int = 1, holding: bytes = b"", let_through: int = 0) -> Fault:
        """Cut the connection instead of passing on the ``nth`` reply to ``command`` from now on.

        Args:
            command: Redis' name of it, or ``script:dead_letter`` for a script of the library.
            nth: Which reply. Errors and nulls (a read that found nothing) do not count.
            holding: Count only replies with these bytes in them.
            let_through: Pass on so many bytes of it first; at most all but the last.
        """
        fault = Fault(frozenset({_key(command)}), nth, holding, let_through)
        with self._lock:
            self._faults.append(fault)
        return fault

    def lose_request(self, command: str, *, nth: int = 1) -> Fault:
        """Cut the connection instead of passing on the ``nth`` such command from now on."""
        fault = Fault(frozenset({_key(command)}), nth, b"", 0, of_request=True)
        with self._lock:
            self._faults.append(fault)
        return fault

    def stall(self) -> None:
        """Pass nothing on, and leave every connection open."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass on again, what had been held back first."""
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            live = list(self._live)
        for connection in live:
            connection.cut()

    def seen(self, command: str) -> int:
        """How many commands of that name came by."""
        with self._lock:
            return self._seen[_key(command)]

    def close(self) -> None:
        with self._lock:
            self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what its connections ask it --------------------------------------------------------

    def start(self, target: object) -> None:
        thread = threading.Thread(target=target, name="proxy", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def note(self, key: bytes) -> None:
        with self._lock:
            self._seen[key] += 1

    def gate(self) -> None:
        """Wait while stalled."""
        self._flowing.wait()

    def fault_for(self, key: bytes, reply: bytes | None) -> Fault | None:
        """The fault that this reply, or None for the command itself, falls victim to."""
        if reply is not None and (reply[:1] == b"-" or reply in (b"*-1\r\n", b"$-1\r\n")):
            return None
        with self._lock:
            for fault in self._faults:
                if fault.of_request != (reply is None) or key not in fault.names:
                    continue
                if reply is None or fault.holding in reply:
                    fault.nth -= 1
                    if fault.nth == 0:
                        self._faults.remove(fault)
                        return fault
        return None

    def gone(self, connection: _Connection) -> None:
        with self._lock:
            self._live.discard(connection)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._welcome(client)

    def _welcome(self, client: socket.socket) -> None:
        if self.refusing:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        connection = _Connection(self, client, server)
        with self._lock:
            closed = self._closed
            self._live.add(connection)
        if closed:
            connection.cut()
        self.start(connection.pass_on_requests)
        self.start(connection.pass_on_replies)


class _Connection:
    """One client's connection: a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._asked: deque[bytes] = deque()  # of which no reply has come by

    def cut(self) -> None:
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def pass_on_requests(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while chunk := self._client.recv(_CHUNK):
                rest += chunk
                while (end := _end(rest, 0)) is not None:
                    request, rest = rest[:end], rest[end:]
                    key = _name_of(_parts(request))
                    self._proxy.note(key)
                    self._proxy.gate()
                    if (fault := self._proxy.fault_for(key, None)) is not None:
                        fault.happened.set()
                        raise OSError("lost on the way")
                    self._asked.append(key)  # before the server can answer
                    self._server.sendall(request)
        self.cut()

    def pass_on_replies(self) -> None:
        rest = b""
        with contextlib.suppress(OSError), self._client, self._server:
            while chunk := self._server.recv(_CHUNK):
                rest += chunk
                while (end := _end(rest, 0)) is not None:
                    reply, rest = rest[:end], rest[end:]
                    self._proxy.gate()
                    if self._lost(reply):
                        self.cut()
                        break
                    if self._proxy.delay_s:
                        time.sleep(self._proxy.delay_s)  # a slow network is what is wanted
                    self._client.sendall(reply)
            self.cut()  # before closing: see `Proxy`
        self._proxy.gone(self)

    def _lost(self, reply: bytes) -> bool:
        fault = self._proxy.fault_for(self._asked.popleft(), reply)
        if fault is None:
            return False
        self._client.sendall(reply[: min(fault.let_through, len(reply) - 1)])
        fault.happened.set()
        return True


def _key(command: str) -> bytes:
    kind, _, name = command.partition(":")
    return load_script(name).digest if kind == "script" else command.upper().encode()


def _name_of(command: Command) -> bytes:
    """The command's name; a script's digest, however it was sent."""
    name = command[0].upper()
    if name == b"EVALSHA":
        return command[1]
    if name == b"EVAL":
        return hashlib.sha1(command[1], usedforsecurity=False).hexdigest().encode()
    return name


def _parts(request: bytes) -> Command:
    """The strings of a request: an array of bulk strings."""
    parts, at = [], request.index(b"\r\n") + 2
    while at < len(request):
        line = request.index(b"\r\n", at)
        length = int(request[at + 1 : line])
        parts.append(request[line + 2 : line + 2 + length])
        at = line + 2 + length + 2
    return parts


def _end(data: bytes, start: int) -> int | None:
    """Where the message ends that begins at ``start``; None if it has not come whole."""
    line = data.find(b"\r\n", start)
    if line < 0:
        return None
    kind, at = data[start : start + 1], line + 2
    if kind == b"$":
        length = int(data[start + 1 : line])
        end = at if length < 0 else at + length + 2
        return end if end <= len(data) else None
    if kind == b"*":
        for _ in range(max(0, int(data[start + 1 : line]))):
            inner = _end(data, at)
            if inner is None:
                return None
            at = inner
    return at
