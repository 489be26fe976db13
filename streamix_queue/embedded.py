"""A Redis or Valkey server that belongs to this process: for demos, development and tests.

`EmbeddedServer` starts a real server on the loopback interface (or a unix socket) and ends it
with its owner, also when the owner is killed. Production traffic belongs on a server of its own.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from streamix_queue.core.errors import StreamixError
from streamix_queue.local_server.binary import EmbeddedServerNotFound, ServerBinary, find_server
from streamix_queue.local_server.loopback import free_loopback_port, probe
from streamix_queue.local_server.process import OwnedProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "EmbeddedServerNotFound",
    "ServerBinary",
    "find_server",
]

_START_TIMEOUT_S = 15.0
_LOCK_TIMEOUT_S = 3.0  # a server whose owner died a moment ago is still writing its data
_POLL_S = 0.01
_PORT_ATTEMPTS = 5
_SOCKET_PATH_LIMIT = 103  # the shortest of the systems' limits, macOS's

# Options that make the server what this class promises; giving them twice would break a promise.
_OWN_OPTIONS = {
    "appendonly", "bind", "daemonize", "dir", "include", "logfile", "maxmemory-policy", "pidfile",
    "port", "protected-mode", "requirepass", "save", "supervised", "tls-port", "unixsocket",
}  # fmt: skip


class EmbeddedServerError(StreamixError):
    """The embedded server did not start, or is not running; the text says why."""


class EmbeddedServer:
    """A server for this process alone, started by `start` or ``with`` and ended by `stop`.

    It listens on 127.0.0.1 or on a unix socket, never elsewhere, and keeps every write: no
    eviction, and an append-only file that is synced each second (a crash of the server or of its
    owner loses nothing; a power cut may lose the last second).

    The server ends when its owner does. On Linux that holds for a SIGKILL of the owner too; the
    temporary data directory is left over then. On other systems a killed owner leaves the server.
    A forked copy of the owner may use the server, and does not end it. Safe from any thread.

    Args:
        binary: Server program; see `find_server` for what is taken otherwise.
        data_dir: Directory for the data and the log, made if missing and kept. One server at a
            time. Left out, a temporary one that `stop` removes.
        port: TCP port on 127.0.0.1; ``0`` picks a free one.
        unix_socket: Path of a socket to listen on instead of TCP, for this user only.
        appendonly: Whether to keep the append-only file. Without it a restart starts empty.
        extra_args: More server options, such as ``("--maxmemory", "100mb")``.

    Raises:
        ValueError: An option is out of range or contradicts another.
        EmbeddedServerNotFound: There is no server program.
    """

    def __init__(
        self,
        *,
        binary: str | os.PathLike[str] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        port: int = 0,
        unix_socket: str | os.PathLike[str] | None = None,
        appendonly: bool = True,
        extra_args: Sequence[str] = (),
    ) -> None:
        if not 0 <= port <= 65_535:
            raise ValueError(f"port={port!r}: expected 0 (any free one) to 65535")
        if port and unix_socket is not None:
            raise ValueError("port and unix_socket: expected one of them")
        for argument in extra_args:
            if argument.startswith("--") and argument[2:].lower() in _OWN_OPTIONS:
                raise ValueError(f"extra_args: {argument} is set by EmbeddedServer itself")
        self.binary: ServerBinary = find_server(binary)
        self._kept_dir = None if data_dir is None else Path(data_dir).absolute()
        self._wanted_port = port
        self._unix_socket = None if unix_socket is None else _socket_path(unix_socket)
        self._appendonly = appendonly
        self._extra_args = tuple(extra_args)
        self._owner_pid = os.getpid()
        self._lock = threading.RLock()  # guards start against stop, and the three below
        self._process: OwnedProcess | None = None
        self._data_dir: Path | None = None
        self._port = 0

    # --- what a client needs to know ------------------------------------------------------------

    @property
    def url(self) -> str:
        """URL for ``redis_url``. Raises `EmbeddedServerError` when not started."""
        self._started()
        if self._unix_socket is not None:
            return f"unix://{quote(str(self._unix_socket))}?db=0"
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def port(self) -> int:
        """TCP port, ``0`` on a unix socket. Raises `EmbeddedServerError` when not started."""
        self._started()
        return self._port

    @property
    def pid(self) -> int:
        """The server's process id. Raises `EmbeddedServerError` when not started."""
        return self._started().pid

    @property
    def data_dir(self) -> Path:
        """Where the data lies. Raises `EmbeddedServerError` when not started."""
        if self._data_dir is None:
            raise EmbeddedServerError("the embedded server is not started")
        return self._data_dir

    @property
    def log_path(self) -> Path:
        """The server's own log. Raises `EmbeddedServerError` when not started."""
        return self.data_dir / "server.log"

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and not self._process.exited

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> EmbeddedServer:
        """Start the server and wait until it answers; does nothing when it is running.

        An answer is awaited for 15 seconds, and however long it takes while the server says that
        it is loading its data.

        Raises:
            EmbeddedServerError: It did not start; the text holds the end of its log. Among the
                reasons: the data directory or the port belongs to another server.
        """
        with self._lock:
            if self.running:
                return self
            self.stop()  # clears up after a server that ended by itself
            self._owner_pid = os.getpid()
            try:
                self._start()
            except BaseException:  # Ctrl-C as well: the server would outlive us
                self.stop()
                raise
            atexit.register(self.stop)
            return self

    def stop(self) -> None:
        """End the server, writing its data first, and remove a temporary data directory.

        Does nothing when it is not running. A server that has not ended after 10 seconds is
        killed.
        """
        if os.getpid() != self._owner_pid:
            return  # a forked copy ran its exit handlers: the server is not its own
        with self._lock:
            atexit.unregister(self.stop)
            if self._process is not None:
                self._process.end()
                self._process = None
            if self._data_dir is not None and self._kept_dir is None:
                shutil.rmtree(self._data_dir, ignore_errors=True)
            self._data_dir = None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the server to end by itself; tell whether it has.

        Args:
            timeout_s: At most so many seconds; ``None`` waits for ever.

        Raises:
            EmbeddedServerError: Not started.
        """
        return self._started().wait(timeout_s)

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # --- start, step by step --------------------------------------------------------------------

    def _started(self) -> OwnedProcess:
        if self._process is None:
            raise EmbeddedServerError("the embedded server is not started")
        return self._process

    def _start(self) -> None:
        if self._kept_dir is None:
            self._data_dir = Path(tempfile.mkdtemp(prefix="streamix-"))
        else:
            self._kept_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._data_dir = self._kept_dir
        if self._unix_socket is not None:
            _refuse_taken_socket(self._unix_socket)
        # Between the choice of a free port and its use another process may take it.
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._launch()
                break
            except PortTaken:
                if self._wanted_port or attempt == _PORT_ATTEMPTS - 1:
                    raise

    def _launch(self) -> None:
        listen = (
            ["--port", "0", "--unixsocket", str(self._unix_socket), "--unixsocketperm", "700"]
            if self._unix_socket is not None
            else ["--port", str(self._wanted_port or free_loopback_port())]
        )
        self._port = int(listen[1])
        options = ["--bind", "127.0.0.1", "--protected-mode", "yes", "--daemonize", "no"]
        options += ["--dir", str(self.data_dir), "--save", "", "--maxmemory-policy", "noeviction"]
        options += ["--appendonly", "yes" if self._appendonly else "no"]
        options += ["--appendfsync", "everysec"]
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        lock = _DirectoryLock(self.data_dir)
        try:
            self._process = OwnedProcess(
                [str(self.binary.path), *listen, *options, *self._extra_args],
                log=self.log_path,
                keep_fds=(lock.fd,),
            )
            lock.name_holder(self._process.pid)
        except OSError as error:
            raise EmbeddedServerError(f"{self.binary} cannot be started: {error}") from error
        finally:
            lock.hand_over()
        self._await_ready(self._process, log_start)

    def _await_ready(self, process: OwnedProcess, log_start: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while (state := probe(self._unix_socket or self._port, process.pid)) != "ready":
            if process.wait(_POLL_S):
                raise self._failure(f"ended at its start with {process.returncode}", log_start)
            if state.startswith("-LOADING"):
                deadline = time.monotonic() + _START_TIMEOUT_S
            if time.monotonic() >= deadline:
                raise self._failure(f"did not answer within {_START_TIMEOUT_S:g} s ({state})", log_start)

    def _failure(self, what: str, log_start: int) -> EmbeddedServerError:
        with self.log_path.open("rb") as log:
            log.seek(log_start)
            tail = log.read().decode(errors="replace").strip().splitlines()[-10:]
        text = "\n  ".join([f"{self.binary} {what}. The end of its log:", *tail])
        if any("Address already in use" in line for line in tail):
            return PortTaken(f"port {self._port} of 127.0.0.1 is already in use. {text}")
        return EmbeddedServerError(text)


class PortTaken(EmbeddedServerError):
    """The start may be tried again with another port, if the port was ours to choose."""


class _DirectoryLock:
    """A lock file in the data directory, held for as long as the *server* has it open.

    Two servers that append to one file would destroy it. The server inherits the open file, so
    the lock outlives an owner that was killed, until the server's last write.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "streamix.lock"
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = path.read_text() or "unknown"
                    self.hand_over()
                    raise EmbeddedServerError(
                        f"the data directory {directory} is in use by another embedded server "
                        f"(process {holder})"
                    ) from None
                time.sleep(_POLL_S)

    def name_holder(self, pid: int) -> None:
        os.ftruncate(self.fd, 0)
        os.write(self.fd, str(pid).encode())

    def hand_over(self) -> None:
        """Close our copy: from now on the lock is the server's."""
        os.close(self.fd)


def _socket_path(path: str | os.PathLike[str]) -> Path:
    absolute = Path(path).absolute()
    if len(os.fsencode(absolute)) > _SOCKET_PATH_LIMIT:
        raise ValueError(f"unix_socket={str(absolute)!r}: the system allows {_SOCKET_PATH_LIMIT} bytes")
    return absolute


def _refuse_taken_socket(path: Path) -> None:
    """Raise when something is there that the server would silently put itself in place of."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise EmbeddedServerError(f"unix_socket: {path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return  # left over from a server that was killed
    raise EmbeddedServerError(f"unix_socket: another server listens on {path}")
