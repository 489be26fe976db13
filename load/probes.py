"""What the system says of a process: memory and processor time. Linux; None elsewhere."""

from __future__ import annotations

import os
from pathlib import Path


def rss_mb(pid: int) -> float | None:
    """Memory of the process that is in use now, in MB."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGESIZE") / (1024 * 1024)


def cpu_seconds(pid: int) -> float | None:
    """Processor time the process has used so far, all threads; resolution 1 ns where there is schedstat."""
    total = 0.0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            # stat counts in ticks of 10 ms, and an idle consumer uses less than one of them.
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return _ticks(pid)
    return total


def _ticks(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
