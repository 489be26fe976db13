"""What the classes for operators have in common: one stream of one server, and one connection to it."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from streamix_queue.composition import redis_operator
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number, text
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["StreamClient", "check_place", "check_timeout"]

_Self = TypeVar("_Self", bound="StreamClient")


def check_place(redis_url: str, stream: str) -> None:
    """Raise `ConfigError` unless these can be a server and a stream."""
    text("redis_url", redis_url)
    text("stream", stream)


def check_timeout(timeout_ms: int) -> None:
    """Raise `ConfigError` unless one request may take so long, ms."""
    number("timeout_ms", timeout_ms, 1, 600_000, unit="ms")


class StreamClient:
    """One stream of one server. Not thread-safe: one for each thread.

    The connection is opened by the first call. A context manager that ends in `close`.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream, not its dead-letter stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self, redis_url: str = DEFAULT_REDIS_URL, stream: str = DEFAULT_STREAM, *, timeout_ms: int = 5000
    ) -> None:
        check_place(redis_url, stream)
        check_timeout(timeout_ms)
        self._stream = stream
        self._timeout_s = timeout_ms / 1000
        self._keys = Keys(stream, "")
        """Of the stream; those of a group among them are nobody's."""
        self._operator = redis_operator(redis_url, self._timeout_s)

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._operator.close()

    def __enter__(self: _Self) -> _Self:  # noqa: PYI019 - typing.Self came with 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _group_names(self) -> list[str]:
        """Names of the stream's groups, in the order of their bytes. Raises `BrokerError`."""
        return [as_text(group.name) for group in self._operator.groups.all(self._keys.stream)]
