"""Real servers for the tests, each of a chosen generation, which no test run leaves behind.

``python -m tests.support.servers prefetch`` fetches the programs, ``list`` shows them.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streamix_queue.embedded import find_server
from streamix_queue.local_server.loopback import free_loopback_port, probe
from streamix_queue.local_server.process import OwnedProcess
from tests.support.server_kinds import KINDS, ServerMissing, fetch, locate, require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KINDS", "Server", "ServerMissing", "locate", "main", "require"]

_READY_S = 20.0
_PORT_ATTEMPTS = 5


class Server:
    """One server process on 127.0.0.1, to be killed, paused and restarted as a test likes.

    Made by `start`. It keeps its port and directory over `restart`, and dies with the test run.
    """

    def __init__(self, kind: str, command: list[str], directory: Path, *, port: int, own_dir: bool) -> None:
        self.kind = kind
        self.port = port
        self.dir = directory
        self.socket_path = directory / "s" if port == 0 else None
        self._command = command
        self._own_dir = own_dir
        self._process: OwnedProcess | None = None
        self._clients: weakref.WeakSet[redis.Redis] = weakref.WeakSet()

    @classmethod
    def start(
        cls,
        kind: str,
        *,
        appendonly: bool = False,
        dir: Path | None = None,  # noqa: A002 - the server's own word for it
        port: int | None = None,
        extra_args: Sequence[str] = (),
        unix_socket: bool = False,
    ) -> Server:
        """Start a server and wait until it answers. ``dir`` is kept, a temporary one is not."""
        program = locate(kind)
        for attempt in range(_PORT_ATTEMPTS):
            chosen = 0 if unix_socket else port or free_loopback_port()
            directory = dir or Path(tempfile.mkdtemp(prefix=f"streamix-{kind}-"))
            command = [str(program), "--port", str(chosen), "--bind", "127.0.0.1"]
            command += ["--unixsocket", str(directory / "s")] if unix_socket else []
            command += ["--dir", str(directory), "--save", "", "--appendonly", "yes" if appendonly else "no"]
            # DEBUG was not to be enabled before 7.0: it always was.
            command += [] if kind == "redis6" else ["--enable-debug-command", "yes"]
            server = cls(kind, [*command, *extra_args], directory, port=chosen, own_dir=dir is None)
            try:
                server.restart()
            except RuntimeError as error:
                server.close()
                clash = "Address already in use" in str(error) and port is None
                if not clash or attempt == _PORT_ATTEMPTS - 1:
                    raise
            except BaseException:
                server.close()
                raise
            else:
                return server
        raise AssertionError("unreachable")

    # --- what a client needs ----------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}?db=0" if self.socket_path else f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._process.exited

    @property
    def log(self) -> str:
        return (self.dir / "server.log").read_text(errors="replace")

    def client(self, *, socket_timeout: float = 10.0) -> redis.Redis:
        """Return a new client that never retries. It is closed with the server at the latest."""
        client = redis.Redis.from_url(
            self.url,
            protocol=2,
            socket_timeout=socket_timeout,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )
        self._clients.add(client)
        return client

    # --- what a test does to it -------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL: what it had answered is with the kernel, the rest is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: it writes its data and goes."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start it again on the same port and directory; stop it first if it runs."""
        self.stop()
        # SIGKILL: a paused server would not see SIGTERM, and the data of a dead run is worth nothing.
        self._process = OwnedProcess(
            self._command,
            log=self.dir / "server.log",
            death_signal=signal.SIGKILL,
            thread_name=f"server-{self.kind}",
        )
        self._await_ready(self._process)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """End it for good and remove what it wrote to a temporary directory."""
        while self._clients:
            self._clients.pop().close()
        self.kill()
        if self._own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        if number is not signal.SIGKILL:
            self._process.send_signal(signal.SIGCONT)  # it may be paused
        if not self._process.wait(20):
            raise RuntimeError(f"{self.kind} (process {self.pid}) outlived {number.name} by 20 s")
        self._process = None

    def _await_ready(self, process: OwnedProcess) -> None:
        deadline = time.monotonic() + _READY_S
        while (state := probe(self.socket_path or self.port, process.pid)) != "ready":
            if process.wait(0.01):
                raise RuntimeError(f"{self.kind} ended with {process.returncode}: {self.log[-2000:]}")
            if time.monotonic() >= deadline:
                raise RuntimeError(f"{self.kind} is not ready ({state}): {self.log[-2000:]}")


def main(arguments: Sequence[str]) -> int:
    """Prefetch or list the programs; 1 when one is missing in CI, where none may be."""
    if list(arguments) not in (["prefetch"], ["list"]):
        print("usage: python -m tests.support.servers prefetch|list", file=sys.stderr)
        return 2
    find: Callable[[str], Path] = fetch if arguments[0] == "prefetch" else locate
    missing = False
    for kind in KINDS:
        try:
            print(f"{kind:8} {find_server(find(kind))}")
        except ServerMissing as error:
            missing = True
            print(f"{kind:8} missing, its tests are skipped: {error}", file=sys.stderr)
    return 1 if missing and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
