"""The options of a consumer and a publisher, checked when they are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from streamix_queue.core.backoff import Backoff
from streamix_queue.core.entry_ids import is_entry_id
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.outcome import Policy
from streamix_queue.core.retention import DEFAULT_KEEP_MS

__all__ = [
    "DEFAULT_GROUP",
    "DEFAULT_REDIS_URL",
    "DEFAULT_STREAM",
    "ConsumerConfig",
    "PublisherConfig",
    "event_policy",
    "number",
]

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
DEFAULT_STREAM = "app.events"
DEFAULT_GROUP = "app.workers"

_ON_FULL = ("block", "raise", "shed")
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def number(option: str, value: Any, low: float, high: float, *, unit: str = "", whole: bool = True) -> None:
    """Raise `ConfigError` unless ``value`` is a number from ``low`` to ``high``."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        raise ConfigError(f"{option}={value!r}: expected {what} from {low} to {high}{unit and ' ' + unit}")


def text(option: str, value: Any) -> None:
    """Raise `ConfigError` unless ``value`` is a non-empty string that UTF-8 can carry."""
    if not isinstance(value, str) or not value:
        # A URL object, or bytes: its repr may show a password.
        shown = f"<{type(value).__name__}>" if value and option == "redis_url" else repr(value)
        raise ConfigError(f"{option}={shown}: expected a non-empty string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{option}: holds a lone surrogate, which UTF-8 cannot carry") from None


def start_id(start_from: object) -> str:
    """The stream id that a new group starts after.

    Raises:
        ConfigError: neither ``"beginning"``, ``"latest"``, an entry id nor an aware datetime.
    """
    if isinstance(start_from, datetime):
        if start_from.tzinfo is None:
            raise ConfigError(f"start_from={start_from!r}: expected a datetime with a time zone")
        milliseconds = (start_from - _EPOCH) // timedelta(milliseconds=1)
        # The group begins *after* this id, so that an entry of that very millisecond is seen.
        return f"{max(milliseconds, 1) - 1}-18446744073709551615"
    if start_from == "beginning":
        return "0"
    if start_from == "latest":
        return "$"
    if isinstance(start_from, str) and is_entry_id(start_from):
        return start_from
    raise ConfigError(
        f"start_from={start_from!r}: expected 'beginning', 'latest', an entry id such as "
        "'1713982500001-0' or a datetime with a time zone"
    )


def event_policy(retry_limit: Any, backoff_base_ms: Any, backoff_max_ms: Any, backoff_jitter: Any) -> Policy:
    """A checked `Policy`. Raises `ConfigError`."""
    number("retry_limit", retry_limit, 0, 1_000_000)
    number("backoff_base_ms", backoff_base_ms, 0, 366 * _DAY_MS, unit="ms")
    number("backoff_max_ms", backoff_max_ms, 0, 366 * _DAY_MS, unit="ms")
    number("backoff_jitter", backoff_jitter, 0, 1, whole=False)
    if backoff_max_ms < backoff_base_ms:
        raise ConfigError(
            f"backoff_max_ms={backoff_max_ms}: expected at least backoff_base_ms={backoff_base_ms}"
        )
    return Policy(retry_limit, Backoff(backoff_base_ms, backoff_max_ms, backoff_jitter))


@dataclass(frozen=True, kw_only=True)
class ConsumerConfig:
    """The options of a `Consumer`; its docstring explains them.

    Raises:
        ConfigError: an option is out of range; names it, the value and the range.
    """

    redis_url: str = field(repr=False)  # it may hold a password
    stream: str
    group: str
    consumer: str | None
    concurrency: int
    retry_limit: int
    batch_size: int | None
    prefetch: int | None
    block_ms: int
    claim_idle_ms: int
    backoff_base_ms: int
    backoff_max_ms: int
    backoff_jitter: float
    start_from: str | datetime
    drain_timeout_ms: int
    max_deliveries: int
    keep_ms: int | None = DEFAULT_KEEP_MS

    def __post_init__(self) -> None:
        text("redis_url", self.redis_url)
        text("stream", self.stream)
        text("group", self.group)
        if ":inbox:" in self.group:
            raise ConfigError(f"group={self.group!r}: ':inbox:' is how the group's own keys are told apart")
        if self.consumer is not None:
            text("consumer", self.consumer)
        number("concurrency", self.concurrency, 1, 10_000, unit="threads")
        if self.batch_size is not None:
            number("batch_size", self.batch_size, 1, 10_000, unit="messages")
        if self.prefetch is not None:
            number("prefetch", self.prefetch, 1, 1_000_000, unit="messages")
        # 0 would mean "for ever" to Redis: a socket that nobody could tell from a dead one.
        number("block_ms", self.block_ms, 1, 3_600_000, unit="ms")
        number("claim_idle_ms", self.claim_idle_ms, 100, 7 * _DAY_MS, unit="ms")
        number("drain_timeout_ms", self.drain_timeout_ms, 0, _DAY_MS, unit="ms")
        number("max_deliveries", self.max_deliveries, 1, 1000)
        if self.keep_ms is not None:
            number("keep_ms", self.keep_ms, 0, 3660 * _DAY_MS, unit="ms, or None to keep everything")
        event_policy(self.retry_limit, self.backoff_base_ms, self.backoff_max_ms, self.backoff_jitter)
        start_id(self.start_from)

    @property
    def policy(self) -> Policy:
        """Retries and backoff of an event that does not say otherwise."""
        return event_policy(self.retry_limit, self.backoff_base_ms, self.backoff_max_ms, self.backoff_jitter)


@dataclass(frozen=True, kw_only=True)
class PublisherConfig:
    """The options of a `Publisher`; its docstring explains them. Raises `ConfigError`."""

    redis_url: str = field(repr=False)  # it may hold a password
    stream: str
    max_message_bytes: int
    timeout_ms: int
    max_backlog: int | None = None
    on_full: str = "block"
    full_timeout_ms: int = 5000

    def __post_init__(self) -> None:
        text("redis_url", self.redis_url)
        text("stream", self.stream)
        # The upper bound is Redis' own default for one string (proto-max-bulk-len, 512 MiB).
        number("max_message_bytes", self.max_message_bytes, 256, 512 * 1024 * 1024, unit="bytes")
        number("timeout_ms", self.timeout_ms, 1, 600_000, unit="ms")
        if self.max_backlog is not None:
            number("max_backlog", self.max_backlog, 1, 1_000_000_000, unit="messages")
        if self.on_full not in _ON_FULL:
            raise ConfigError(f"on_full={self.on_full!r}: expected one of {', '.join(map(repr, _ON_FULL))}")
        number("full_timeout_ms", self.full_timeout_ms, 0, _DAY_MS, unit="ms")
