"""A proxy between client and server that can lose a reply: the work is done, nobody is told."""

from __future__ import annotations

import contextlib
import socket
import threading

import hiredis

__all__ = ["LossyProxy"]


class LossyProxy:
    """Listens on a port of its own. `lose_next_reply` cuts the connection instead of replying.

    The cut comes when every request that was sent has its reply, so of a pipeline nothing is left
    undone; requests are counted, not guessed from the packets.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._losing = threading.Event()
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_next_reply(self) -> None:
        self._losing.set()

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += [client, server]
                self._start(_Connection(client, server, self._losing).run)


class _Connection:
    """One client's connection, served by one thread: its requests and replies take duties."""

    def __init__(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        self._client = client
        self._server = server
        self._losing = losing

    def run(self) -> None:
        with contextlib.suppress(OSError), self._client, self._server:
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        """Pass on whole requests, then as many replies; False at the end or after a loss."""
        requests = self._pass_on_requests()
        if not requests:
            return False
        replies = self._replies(requests)
        if self._losing.is_set():
            self._losing.clear()
            return False
        self._client.sendall(replies)
        return True

    def _pass_on_requests(self) -> int:
        reader = hiredis.Reader()
        count = 0
        while count == 0 or reader.has_data():
            chunk = self._client.recv(1 << 20)
            if not chunk:
                return 0
            self._server.sendall(chunk)
            reader.feed(chunk)
            count += _complete(reader)
        return count

    def _replies(self, count: int) -> bytes:
        reader = hiredis.Reader()
        received = b""
        while count > 0:
            chunk = self._server.recv(1 << 20)
            if not chunk:
                raise OSError("the server closed")
            received += chunk
            reader.feed(chunk)
            count -= _complete(reader)
        return received


def _complete(reader: hiredis.Reader) -> int:
    """How many whole messages the reader holds now."""
    count = 0
    while reader.gets() is not False:
        count += 1
    return count
