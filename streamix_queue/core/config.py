"""The options of a consumer, of one of its events and of a publisher: each declared once, and here.

A new one is a field of its class here and a parameter of the same name in the signatures, which take
the default from here; `streamix_queue.core.options` says what else comes from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

from streamix_queue.core.backoff import Backoff
from streamix_queue.core.entry_ids import is_entry_id
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.options import declared, like, option
from streamix_queue.core.outcome import Policy
from streamix_queue.core.retention import DEFAULT_KEEP_MS

__all__ = [
    "DEFAULT_REDIS_URL",
    "DEFAULT_STREAM",
    "ConsumerConfig",
    "EventOptions",
    "PublisherConfig",
    "number",
    "start_id",
    "text",
]

T = TypeVar("T")

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
DEFAULT_STREAM = "app.events"

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


# --- what a value may be ------------------------------------------------------------------------


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


def one_of(option: str, value: Any, choices: Sequence[str]) -> None:
    """Raise `ConfigError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ConfigError(f"{option}={value!r}: expected {_listed(choices)}")


def _listed(choices: Sequence[str]) -> str:
    quoted = list(map(repr, choices))
    return " or ".join(quoted) if len(quoted) == 2 else f"one of {', '.join(quoted)}"


# --- how an option is declared ------------------------------------------------------------------


def _number(
    default: T, edges: tuple[int, int], meaning: str, *, kind: str = "whole", unit: str = "", **more: Any
) -> T:
    low, high = edges
    check = partial(number, low=low, high=high, unit=unit, whole=kind != "share")
    values = f"{low} to {high} {unit}".strip()
    return option(default, meaning, kind=kind, values=values, check_value=check, **more)


def _ms(default: T, edges: tuple[int, int], meaning: str, *, unit: str = "ms", **more: Any) -> T:
    return _number(default, edges, meaning, kind="time", unit=unit, **more)


def _text(default: T, meaning: str, **more: Any) -> T:
    return option(default, meaning, kind="text", values="text", check_value=text, **more)


def _choice(default: T, choices: Sequence[str], meaning: str) -> T:
    check = partial(one_of, choices=choices)
    return option(default, meaning, kind="text", values=_listed(choices), check_value=check)


def _object(default: T, meaning: str) -> T:
    """What only a program can give: it shows what it is when it is used."""
    return option(default, meaning, kind="object", check_value=lambda _option, _value: None)


# --- the options --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """The options of whoever talks to one stream.

    Raises:
        ConfigError: an option is out of range; names it, the value and the range.
    """

    redis_url: str = _text(
        DEFAULT_REDIS_URL, "``redis://``, ``rediss://`` or ``unix://``.", secret=True, also=("REDIS_URL",)
    )
    stream: str = _text(
        DEFAULT_STREAM,
        'The stream. On a Redis Cluster with a hash tag: ``"{app.events}"``.',
        also=("STREAM",),
    )

    def __post_init__(self) -> None:
        for name, each in declared(type(self)).items():
            each.check(getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class ConsumerConfig(StreamConfig):
    """The options of a `Consumer`. Raises `ConfigError`."""

    group: str = _text("app.workers", "The consumer group: one per service.", also=("GROUP",))
    consumer: str | None = _text(
        None,
        "This member's name. Leave it out: a name of the library's own is unique for each start, which "
        "lets it recover what a lost reply held at once and not after ``claim_idle_ms``. Two processes "
        "may share a name without harm.",
    )
    concurrency: int = _number(
        1,
        (1, 10_000),
        "Handlers at once, coroutines too. With 1 first deliveries keep the stream's order.",
        unit="threads",
    )
    retry_limit: int = _number(3, (0, 1_000_000), "Attempts after the first; 3 means up to 4 in all.")
    backoff_base_ms: int = _ms(
        1000, (0, 366 * _DAY_MS), "Wait after the first failure, ms; doubled after each further one."
    )
    backoff_max_ms: int = _ms(300_000, (0, 366 * _DAY_MS), "Longest wait, ms.")
    backoff_jitter: float = _number(
        0.2, (0, 1), "Share by which a wait is spread either way, 0 to 1.", kind="share"
    )
    batch_size: int | None = _number(
        None, (1, 10_000), "Most entries per read; None follows the credits.", unit="messages"
    )
    prefetch: int | None = _number(
        None,
        (1, 1_000_000),
        "Entries to hold, running and waiting; None: about 0.25 s of work.",
        unit="messages",
    )
    # 0 would mean "for ever" to Redis: a socket that nobody could tell from a dead one.
    block_ms: int = _ms(
        5000, (1, _HOUR_MS), "How long a read waits for the first entry, ms. At most 2000 are used at a time."
    )
    claim_idle_ms: int = _ms(
        60_000,
        (100, 7 * _DAY_MS),
        "The lease, ms: how long after its death a process' messages are taken over. Renewed every third "
        "of it: a handler may take any time, unless it holds the GIL for longer.",
    )
    start_from: str | datetime = option(
        "beginning",
        'Where a *new* group begins: ``"beginning"``, ``"latest"``, an entry id, or a datetime with a '
        "time zone.",
        kind="start",
        values="a place or a time",
        check_value=lambda _, value: start_id(value),
    )
    drain_timeout_ms: int = _ms(
        30_000, (0, _DAY_MS), "How long running handlers may take to end when stopping, ms."
    )
    max_deliveries: int = _number(
        5,
        (1, 1000),
        "Deliveries after which a message that keeps killing its process is dead-lettered with the "
        "reason ``crash``.",
    )
    keep_ms: int | None = _ms(
        DEFAULT_KEEP_MS,
        (0, 3660 * _DAY_MS),
        "How long entries stay on the stream that every group is done with, ms; the longest wish of a "
        "group counts. What a group still needs is never trimmed. None keeps everything.",
        unit="ms, or None to keep everything",
        or_none=True,
    )
    metrics_port: int | None = _number(
        None,
        (0, 65_535),
        "Serve ``/metrics``, ``/livez``, ``/readyz``; 0 takes any port. Plus its index in a process of "
        "``streamix run --processes``.",
    )
    metrics_host: str = _text(
        "127.0.0.1", "The address for it. Loopback, unless something else has to see the page."
    )
    # What core may not know of, the signatures of the constructors state the types of.
    metrics_registry: Any = _object(None, "Count in this and not in prometheus_client's global registry.")
    trace_mode: str | None = _choice(
        None,
        ("continue", "link"),
        "``continue`` (the default): a handler belongs to the trace of the publish; ``link``: it has a "
        "trace of its own that links to it.",
    )
    observers: Sequence[Any] = _object((), "Receive facts, see `streamix_queue.core.facts`.")
    interceptors: Sequence[Any] = _object((), "Surround handlers with context managers.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if ":inbox:" in self.group:
            raise ConfigError(f"group={self.group!r}: ':inbox:' is how the group's own keys are told apart")
        if self.backoff_max_ms < self.backoff_base_ms:
            raise ConfigError(
                f"backoff_max_ms={self.backoff_max_ms}: "
                f"expected at least backoff_base_ms={self.backoff_base_ms}"
            )

    @property
    def policy(self) -> Policy:
        """Retries and backoff of an event that does not say otherwise."""
        backoff = Backoff(self.backoff_base_ms, self.backoff_max_ms, self.backoff_jitter)
        return Policy(self.retry_limit, backoff)


@dataclass(frozen=True, kw_only=True)
class EventOptions:
    """The options of one event, see `Consumer.on`: None is the consumer's, or no limit.

    Nothing is checked here, for what is good depends on the consumer's.
    """

    retry_limit: int | None = like(
        declared(ConsumerConfig)["retry_limit"],
        "Attempts after the first, for this event. None: the consumer's; so for the three of backoff.",
    )
    concurrency: int | None = like(
        declared(ConsumerConfig)["concurrency"],
        "How many of this event may run at once, at most the consumer's. By default all but one thread, "
        "if there are other events: one is left for them.",
    )
    backoff_base_ms: int | None = like(
        declared(ConsumerConfig)["backoff_base_ms"],
        "Wait after this event's first failure, ms; doubled after each further one.",
    )
    backoff_max_ms: int | None = like(
        declared(ConsumerConfig)["backoff_max_ms"], "Longest wait before a retry of this event, ms."
    )
    backoff_jitter: float | None = like(
        declared(ConsumerConfig)["backoff_jitter"],
        "Share by which this event's waits are spread either way, 0 to 1.",
    )
    timeout_ms: int | None = _ms(
        None, (1, 7 * _DAY_MS), "Longest run of an ``async def`` handler, ms; then it is cancelled."
    )

    def over(self, consumer: ConsumerConfig) -> ConsumerConfig:
        """The consumer's options with those that this event has for itself. Raises `ConfigError`."""
        both = declared(EventOptions).keys() & declared(ConsumerConfig)
        own = {name: getattr(self, name) for name in both}
        return replace(consumer, **{name: value for name, value in own.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class PublisherConfig(StreamConfig):
    """The options of a `Publisher`. Raises `ConfigError`."""

    # The upper bound is Redis' own default for one string (proto-max-bulk-len, 512 MiB).
    max_message_bytes: int = _number(
        1024 * 1024, (256, 512 * 1024 * 1024), "Largest encoded message, bytes.", unit="bytes"
    )
    timeout_ms: int = _ms(
        5000,
        (1, 600_000),
        "How long a publish may take in all, tries included, ms. One reply is waited for half as long, "
        "so that a connection that died unseen leaves time for another.",
        clearer="publish_timeout_ms",
    )
    max_backlog: int | None = _number(
        None,
        (1, 1_000_000_000),
        "Hold publishing back when the slowest group has so many messages to handle yet: not delivered, "
        "pending, waiting for a retry or in its inboxes (without a group, all that is on the stream). "
        "It goes on at four fifths of that. Looked at about once a second, so it may be exceeded by what "
        "all publishers write meanwhile. None: never.",
        unit="messages",
    )
    on_full: str = _choice(
        "block",
        ("block", "raise", "shed"),
        'What to do then: ``"block"`` up to ``full_timeout_ms``, then raise `BacklogFull`; ``"raise"`` it '
        'at once; or ``"shed"``: write nothing, and return a `ShedMessage`, whose ``published`` is False.',
    )
    full_timeout_ms: int = _ms(5000, (0, _DAY_MS), "How long to block, ms, beside ``timeout_ms``.")
    observers: Sequence[Any] = _object((), "Receive a `Published` fact for each call.")
    interceptors: Sequence[Any] = _object((), "Surround each call, and may add trace fields.")
