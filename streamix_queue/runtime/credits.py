"""How many more entries we may hold: the bound on memory."""

import threading


class Credits:
    """For any thread. What is held is ``limit - free``; overdrawn, free is negative."""

    def __init__(self, limit: int) -> None:
        self._changed = threading.Condition(
            threading.Lock()
        )  # guards writes; free and limit are read without it
        self._limit = self._free = limit
        self._waiting = 0
        self._woken = False  # kept while nobody waits, or a wake just before a wait is lost

    @property
    def free(self) -> int:
        return self._free

    @property
    def limit(self) -> int:
        return self._limit

    def take(self, n: int) -> None:
        """Never block, rather overdraw: what we were given counts, asked for or not."""
        with self._changed:
            self._free -= n

    def give(self, n: int) -> None:
        with self._changed:
            self._free += n
            if self._waiting:
                self._changed.notify_all()

    def resize(self, limit: int) -> None:
        """What is held stays held."""
        with self._changed:
            self._free += limit - self._limit
            self._limit = limit
            self._changed.notify_all()

    def wait(self, minimum: int, timeout: float) -> int:
        """Block until free >= minimum, a wake() or timeout (seconds); return free."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._woken or self._free >= minimum, timeout)
            finally:
                self._waiting -= 1
                self._woken &= self._waiting > 0  # the last one out: everyone has seen it
            return self._free

    def wake(self) -> int:
        with self._changed:
            self._woken = True
            self._changed.notify_all()
            return self._free
