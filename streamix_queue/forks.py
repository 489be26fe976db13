"""What a forked child must not share with its parent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """A value that every process has of its own; a forked child makes it at its first use.

    For locks and what they guard, because one that another thread of the parent held at the fork
    stays locked for ever in the child, and for sockets, on which two processes would read each
    other's replies. All threads of a process get the same value.

    Thread-safe without a lock, which could itself be held at a fork. The process is told by its id
    at each use, and not by `os.register_at_fork`: uWSGI forks in C, and runs those hooks only if
    its configuration says so.

    Args:
        make: Makes the value, and may do so twice if two threads come first. Called at once for
            this process.
    """

    __slots__ = ("_by_pid", "_make")

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._by_pid = {os.getpid(): make()}

    def get(self) -> _T:
        """The value of this process."""
        pid = os.getpid()
        try:
            return self._by_pid[pid]
        except KeyError:
            value = self._by_pid.setdefault(pid, self._make())  # atomic: the first one made is all threads'
            for other in tuple(self._by_pid):
                if other != pid:
                    self._by_pid.pop(other, None)
            return value
