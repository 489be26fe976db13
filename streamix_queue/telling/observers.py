"""Facts go out through here: to every observer, and a broken one harms no message."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from streamix_queue.core.errors import BrokerError
from streamix_queue.core.facts import BrokerDown, BrokerUp, Fact, Observer

__all__ = ["Notice", "Outage", "fan_out"]

Notice = Callable[[Fact], None]

_log = logging.getLogger("streamix_queue")


def fan_out(observers: Sequence[Observer]) -> Notice:
    """One function that tells all observers; what one raises is logged once per kind of fact."""
    complained: set[tuple[int, str]] = set()

    def notice(fact: Fact) -> None:
        for observer in observers:
            try:
                observer.notice(fact)
            except Exception:  # noqa: BLE001 - an observer's error must harm no message
                complaint = (id(observer), type(fact).__name__)
                if complaint not in complained:
                    complained.add(complaint)
                    _log.exception(
                        "%s failed on %s; not reported again", type(observer).__name__, complaint[1]
                    )

    return notice if observers else lambda _fact: None


class Outage:
    """Whether Redis serves us, for one channel as a whole. Thread-safe.

    All its actors lose their connection in the same moment and try again many times; people want
    to read that once, and once that it is over: when every actor has had an answer again.
    """

    def __init__(self, notice: Notice) -> None:
        self._notice = notice
        self._lock = threading.Lock()
        self._since: float | None = None
        self._without: set[str] = set()

    @property
    def seconds(self) -> float:
        """How long it has lasted; 0 when Redis can be reached."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def began(self, actor: str, error: BaseException) -> None:
        """``actor`` lost Redis, or was refused."""
        with self._lock:
            self._without.add(actor)
            if self._since is not None:
                return
            self._since = time.monotonic()
        text = str(error) if isinstance(error, BrokerError) else type(error).__name__
        self._notice(BrokerDown(type(error).__name__, text))

    def ended(self, actor: str) -> None:
        """``actor`` had an answer. Cheap while there is no outage."""
        if self._since is None:
            return
        with self._lock:
            self._without.discard(actor)
            if self._without:
                return
            since, self._since = self._since, None
        if since is not None:
            self._notice(BrokerUp(time.monotonic() - since))
