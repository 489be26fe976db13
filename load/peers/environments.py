"""A virtual environment for each peer, made when first needed and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from load.machine import ROOT
from load.peers.catalogue import THIS_TREE, Peer

_INSTALL_DEADLINE_S = 600
_MADE = "installed.txt"  # written last: an environment without it is half-made


class CannotInstall(Exception):
    """A peer cannot be had here; the text says why."""


@dataclass(frozen=True)
class Environment:
    """A peer's interpreter and what is installed for it."""

    python: str
    version: str
    packages: tuple[str, ...]

    def described(self) -> dict[str, object]:
        return {"python": self.version, "packages": list(self.packages)}


def cache_dir() -> Path:
    """Where they are kept; ``STREAMIX_LOAD_PEERS`` chooses another place."""
    chosen = os.environ.get("STREAMIX_LOAD_PEERS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "streamix-queue" / "peers"


def prepare(peer: Peer, say: Callable[[str], None]) -> Environment:
    """The environment of ``peer``.

    Raises:
        CannotInstall: no fitting Python, or pip refuses.
    """
    base = _interpreter(peer.python)
    home = cache_dir() / f"{peer.driver.rpartition('.')[2]}-{_fingerprint(peer, base)}"
    python = home / "bin" / "python"
    if not (home / _MADE).exists():
        say(f"peers  installing {peer.title}")
        shutil.rmtree(home, ignore_errors=True)
        _call([base, "-m", "venv", str(home)])
        _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_wanted(peer)])
        freeze = _call([str(python), "-m", "pip", "freeze", "--disable-pip-version-check"])
        (home / _MADE).write_text(freeze, encoding="utf-8")
    packages = (home / _MADE).read_text(encoding="utf-8").split()
    version = _call([str(python), "-c", "import platform; print(platform.python_version())"]).strip()
    return Environment(str(python), version, tuple(packages))


def _wanted(peer: Peer) -> list[str]:
    if THIS_TREE not in peer.requirements:
        return list(peer.requirements)
    # 3.10 has no tomllib; the cli extra brings its forerunner along.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies: list[str] = project["project"]["dependencies"]
    return dependencies


def _fingerprint(peer: Peer, base: str) -> str:
    """Changes with what is to be installed, and for which Python."""
    parts = [*_wanted(peer), base]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _interpreter(versions: Sequence[str]) -> str:
    for version in versions:
        if found := _find(version):
            return found
    raise CannotInstall(f"needs Python {' or '.join(versions)}, which is not to be found")


def _find(version: str) -> str | None:
    if "{}.{}".format(*sys.version_info[:2]) == version and _has_gil():
        return sys.executable
    found = shutil.which(f"python{version}")
    if found and _works(found, version):
        return found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    return str(candidates[-1]) if candidates else None


def _has_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _works(python: str, version: str) -> bool:
    """A shim on the PATH may lead nowhere."""
    asked = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
    answer = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == version


def _call(command: Sequence[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_DEADLINE_S, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"{type(error).__name__} while installing") from None
    if answer.returncode != 0:
        lines = [line for line in answer.stderr.strip().splitlines() if line.strip()] or ["no word"]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise CannotInstall((errors or lines)[-1][:300])
    return answer.stdout
