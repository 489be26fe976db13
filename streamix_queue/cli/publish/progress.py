"""How far `streamix publish` has come, on stderr if that is a terminal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamix_queue.cli.shared.output import at_terminal

if TYPE_CHECKING:
    import rich.progress

__all__ = ["Progress"]


class Progress:
    """A line on stderr: of a file also how much of it is read. Drawn only when it advances."""

    def __init__(self) -> None:
        self._bar: rich.progress.Progress | None = None
        self._descriptor = -1
        self._sized = False

    @contextmanager
    def drawn(self, descriptor: int, *, quiet: bool) -> Iterator[None]:
        """Draw it inside of this block, unless stderr is no terminal or ids are printed on the same one."""
        if not at_terminal(sys.stderr) or (at_terminal(sys.stdout) and not quiet):
            yield
            return
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        about = os.fstat(descriptor)
        self._descriptor, self._sized = descriptor, stat.S_ISREG(about.st_mode)
        text = TextColumn("{task.fields[published]} published")
        columns = [text, *([BarColumn()] if self._sized else []), TimeElapsedColumn()]
        with Bar(*columns, console=Console(stderr=True), auto_refresh=False) as self._bar:
            self._bar.add_task("", total=about.st_size if self._sized else None, published=0)
            yield
        self._bar = None

    def advance(self, published: int) -> None:
        """So many messages are published."""
        if self._bar is not None:
            read = os.lseek(self._descriptor, 0, os.SEEK_CUR) if self._sized else 0
            self._bar.update(self._bar.task_ids[0], completed=read, published=published)
            self._bar.refresh()
