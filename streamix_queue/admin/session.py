"""What every class for operators is: one stream of one server, asked until it is closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from streamix_queue.core.config import number, text

__all__ = ["Session", "check_place", "check_timeout"]

_Self = TypeVar("_Self", bound="Session")


def check_place(redis_url: str, stream: str) -> None:
    """Raise `ConfigError` unless these can be a server and a stream."""
    text("redis_url", redis_url)
    text("stream", stream)


def check_timeout(timeout_ms: int) -> None:
    """Raise `ConfigError` unless one request may take so long, ms."""
    number("timeout_ms", timeout_ms, 1, 600_000, unit="ms")


class Session(ABC):
    """The checked options, and a context manager that ends in `close`.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(self, redis_url: str, stream: str, timeout_ms: int) -> None:
        check_place(redis_url, stream)
        check_timeout(timeout_ms)
        self._stream = stream
        self._timeout_s = timeout_ms / 1000

    @abstractmethod
    def close(self) -> None:
        """Close what was opened; a later call opens it again."""

    def __enter__(self: _Self) -> _Self:  # noqa: PYI019 - typing.Self came with 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
