"""What others see of a publish: interceptors around it, and the facts of it at its end."""

from __future__ import annotations

import time
from types import TracebackType

from streamix_queue.core.facts import Published, PublishInterceptor, Shed
from streamix_queue.core.publication import Publication
from streamix_queue.telling.interceptors import enter_all, leave_all
from streamix_queue.telling.observers import Notice

__all__ = ["Observed"]


class Observed:
    """A context manager around one publish. Owned by the call that publishes.

    Args:
        interceptors: Entered first, and left last.
        notice: Told at the end.
        publication: What is published.
    """

    __slots__ = ("_interceptors", "_notice", "_publication", "_scopes", "_started")

    def __init__(
        self, interceptors: tuple[PublishInterceptor, ...], notice: Notice, publication: Publication
    ) -> None:
        self._interceptors = interceptors
        self._notice = notice
        self._publication = publication

    def __enter__(self) -> None:
        self._started = time.perf_counter()
        self._scopes = enter_all([i.publishing for i in self._interceptors], self._publication)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        published, seconds = self._publication, time.perf_counter() - self._started
        error_type = kind.__name__ if kind else ""
        sizes = published.sizes[: len(published.sizes) - published.shed]
        if sizes:
            self._notice(Published(published.stream, len(sizes), seconds, sum(sizes), error_type, sizes))
        if published.shed:
            self._notice(Shed(published.stream, published.shed))
        leave_all(self._scopes, (kind, error, trace))
