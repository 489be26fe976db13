"""A first-in, first-out queue between threads that can be closed."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """Nothing more goes in and, once it is empty, nothing comes out."""


class Mailbox(Generic[T]):
    """For any thread, but no signal handler (the lock).

    Unbounded, so put never blocks: who puts bounds it, as credits do with what is held.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards every field below; the length is read without it
        self._arrived = threading.Condition(self._lock)
        self._items: deque[T] = deque()
        self._waiting = 0  # readers asleep: with none, put need not notify
        self._closed = False

    def put(self, item: T) -> None:
        self.put_many((item,))

    def put_many(self, items: Sequence[T]) -> None:
        """One lock, one wake-up: the woken reader wakes the next if it leaves any."""
        with self._lock:
            if self._closed:
                raise Closed
            self._items.extend(items)
            if self._waiting:
                self._arrived.notify()

    def get_many(self, limit: int, timeout: float | None = None) -> list[T]:
        """Take 1..limit items; [] on timeout (seconds); raise Closed when closed and empty."""
        with self._lock:
            if not self._items and not self._closed:
                self._waiting += 1
                self._arrived.wait_for(lambda: self._items or self._closed, timeout)
                self._waiting -= 1  # skipped by a Ctrl-C: costs a needless notify, no more
            if not self._items and self._closed:
                raise Closed
            taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
            if self._items and self._waiting:
                self._arrived.notify()
            return taken

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._arrived.notify_all()

    def __len__(self) -> int:
        return len(self._items)
