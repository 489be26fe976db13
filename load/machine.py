"""The machine: its cores, what it is, and what was run on it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("redis", "hiredis", "msgspec", "opentelemetry-api", "prometheus-client", "structlog")


def cores() -> list[int]:
    """The cores that we may use; empty where that cannot be asked."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def server_cores() -> list[int]:
    """The first core, if there are at least two."""
    return cores()[:1] if len(cores()) > 1 else []


def client_cores() -> list[int]:
    """The second core, if there is one."""
    return cores()[1:2]


def pin(pid: int, to: Iterable[int]) -> None:
    """Keep a process with all its threads on some cores, where the system can."""
    chosen = list(to)
    if not chosen or not hasattr(os, "sched_setaffinity"):
        return
    tasks = Path(f"/proc/{pid}/task")
    for thread in [int(task.name) for task in tasks.iterdir()] if tasks.is_dir() else [pid]:
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, chosen)


def describe() -> dict[str, object]:
    """What a result needs to be judged by: no name, no address, no path."""
    return {
        "cores": len(cores()) or os.cpu_count(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    from streamix_queue.__about__ import __version__

    found = {"streamix-queue": __version__}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def commit() -> str:
    """The commit of this tree, with ``+`` if files differ from it; "" outside a repository."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + "+" if head and _git("status", "--porcelain") else head


def _git(*arguments: str) -> str:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
