"""Every option at its edges, and what is said about a value beyond them."""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue import Consumer, Publisher, consume, publish
from streamix_queue.core.backoff import Backoff
from streamix_queue.core.config import ConsumerConfig, PublisherConfig, start_id
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.options import declared
from streamix_queue.core.outcome import Policy

WEEK_MS = 7 * 86_400_000
YEAR_MS = 366 * 86_400_000

CONSUMER: dict[str, Any] = {
    "redis_url": "redis://localhost:6379/0",
    "stream": "app.events",
    "group": "app.workers",
    "consumer": None,
    "concurrency": 1,
    "retry_limit": 3,
    "batch_size": None,
    "prefetch": None,
    "block_ms": 5000,
    "claim_idle_ms": 60_000,
    "backoff_base_ms": 1000,
    "backoff_max_ms": YEAR_MS,
    "backoff_jitter": 0.2,
    "start_from": "beginning",
    "drain_timeout_ms": 30_000,
    "max_deliveries": 5,
    "keep_ms": None,
    "metrics_port": None,
    "metrics_host": "127.0.0.1",
    "trace_mode": None,
}
PUBLISHER: dict[str, Any] = {
    "redis_url": "redis://localhost:6379/0",
    "stream": "app.events",
    "max_message_bytes": 1 << 20,
    "timeout_ms": 5000,
    "max_backlog": None,
    "on_full": "block",
    "full_timeout_ms": 5000,
}

# option, lowest, highest, unit as the text has it
CONSUMER_RANGES = [
    ("concurrency", 1, 10_000, " threads"),
    ("batch_size", 1, 10_000, " messages"),
    ("prefetch", 1, 1_000_000, " messages"),
    ("block_ms", 1, 3_600_000, " ms"),
    ("claim_idle_ms", 100, WEEK_MS, " ms"),
    ("drain_timeout_ms", 0, 86_400_000, " ms"),
    ("max_deliveries", 1, 1000, ""),
    ("keep_ms", 0, 3660 * 86_400_000, " ms, or None to keep everything"),
    ("retry_limit", 0, 1_000_000, ""),
    ("backoff_base_ms", 0, YEAR_MS, " ms"),
    ("backoff_max_ms", 0, YEAR_MS, " ms"),
    ("metrics_port", 0, 65_535, ""),
]
PUBLISHER_RANGES = [
    ("max_message_bytes", 256, 512 * 1024 * 1024, " bytes"),
    ("timeout_ms", 1, 600_000, " ms"),
    ("max_backlog", 1, 1_000_000_000, " messages"),
    ("full_timeout_ms", 0, 86_400_000, " ms"),
]
RANGES = [
    *((ConsumerConfig, CONSUMER, *row) for row in CONSUMER_RANGES),
    *((PublisherConfig, PUBLISHER, *row) for row in PUBLISHER_RANGES),
]
RANGE_IDS = [row[2] for row in RANGES]
OPTIONAL = {"batch_size", "prefetch", "consumer", "keep_ms", "metrics_port", "max_backlog"}


def check(kind: Any, defaults: dict[str, Any], **changes: Any) -> Any:
    if "backoff_max_ms" in changes:
        changes.setdefault("backoff_base_ms", 0)
    return kind(**{**defaults, **changes})


def refusal(kind: Any, defaults: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        check(kind, defaults, **changes)
    return str(raised.value)


# --- numbers ------------------------------------------------------------------------------------------


def test_every_number_that_is_declared_is_tried_at_its_edges() -> None:
    for config, ranges in ((ConsumerConfig, CONSUMER_RANGES), (PublisherConfig, PUBLISHER_RANGES)):
        numbers = {o.name for o in declared(config).values() if o.kind in ("whole", "time")}
        assert {row[0] for row in ranges} == numbers


@pytest.mark.parametrize(("kind", "defaults", "option", "low", "high", "unit"), RANGES, ids=RANGE_IDS)
def test_a_number_is_good_up_to_its_edges_and_not_beyond(
    kind: Any, defaults: dict[str, Any], option: str, low: int, high: int, unit: str
) -> None:
    for good in (low, low + 1, high - 1, high):
        assert getattr(check(kind, defaults, **{option: good}), option) == good

    for bad in (low - 1, high + 1, -(10**30), 10**30):
        expected = f"{option}={bad!r}: expected a whole number from {low} to {high}{unit}"
        assert refusal(kind, defaults, **{option: bad}) == expected


@pytest.mark.parametrize(("kind", "defaults", "option", "low", "high", "unit"), RANGES, ids=RANGE_IDS)
@pytest.mark.parametrize(
    "bad", [True, 10.0, 10.5, "10", b"10", float("nan"), float("inf"), [10], None, object], ids=repr
)
def test_what_is_no_whole_number_is_refused(
    kind: Any, defaults: dict[str, Any], option: str, low: int, high: int, unit: str, bad: Any
) -> None:
    if bad is None and option in OPTIONAL:
        assert getattr(check(kind, defaults, **{option: None}), option) is None
        return
    expected = f"{option}={bad!r}: expected a whole number from {low} to {high}{unit}"
    assert refusal(kind, defaults, **{option: bad}) == expected


@pytest.mark.parametrize("good", [0, 1, 0.0, 0.5, 1.0, 5e-324])
def test_jitter_is_a_share(good: float) -> None:
    assert check(ConsumerConfig, CONSUMER, backoff_jitter=good).policy.backoff.jitter == good


@pytest.mark.parametrize("bad", [-0.01, 1.01, float("nan"), float("inf"), True, "0.2", None], ids=repr)
def test_jitter_beyond_a_share_is_refused(bad: Any) -> None:
    assert (
        refusal(ConsumerConfig, CONSUMER, backoff_jitter=bad)
        == f"backoff_jitter={bad!r}: expected a number from 0 to 1"
    )


def test_the_longest_wait_is_not_shorter_than_the_first() -> None:
    assert check(ConsumerConfig, CONSUMER, backoff_base_ms=5, backoff_max_ms=5).backoff_max_ms == 5

    text = refusal(ConsumerConfig, CONSUMER, backoff_base_ms=5, backoff_max_ms=4)
    assert text == "backoff_max_ms=4: expected at least backoff_base_ms=5"


def test_the_policy_of_a_consumer_is_made_of_its_options() -> None:
    config = check(
        ConsumerConfig, CONSUMER, retry_limit=7, backoff_base_ms=10, backoff_max_ms=20, backoff_jitter=0.5
    )

    assert config.policy == Policy(7, Backoff(10, 20, 0.5))


@pytest.mark.parametrize(("kind", "defaults"), [(ConsumerConfig, CONSUMER), (PublisherConfig, PUBLISHER)])
def test_the_password_is_not_in_the_text_of_the_options(kind: Any, defaults: dict[str, Any]) -> None:
    assert "s3cret" not in repr(check(kind, defaults, redis_url="redis://:s3cret@h"))


# --- texts --------------------------------------------------------------------------------------------

TEXTS = [
    *(
        (ConsumerConfig, CONSUMER, option)
        for option in ("redis_url", "stream", "group", "consumer", "metrics_host")
    ),
    *((PublisherConfig, PUBLISHER, option) for option in ("redis_url", "stream")),
]
TEXT_IDS = [f"{row[0].__name__}-{row[2]}" for row in TEXTS]


@pytest.mark.parametrize(("kind", "defaults", "option"), TEXTS, ids=TEXT_IDS)
def test_a_name_is_any_text_but_none(kind: Any, defaults: dict[str, Any], option: str) -> None:
    assert getattr(check(kind, defaults, **{option: "\u00fc {x}"}), option) == "\u00fc {x}"

    assert refusal(kind, defaults, **{option: ""}) == f"{option}='': expected a non-empty string"
    for bad in (b"bytes", 7, ["x"]):
        text = refusal(kind, defaults, **{option: bad})
        shown = f"<{type(bad).__name__}>" if option == "redis_url" else repr(bad)
        assert text == f"{option}={shown}: expected a non-empty string"
    text = refusal(kind, defaults, **{option: "x\ud800"})
    assert text == f"{option}: holds a lone surrogate, which UTF-8 cannot carry"


@pytest.mark.parametrize("bad", ["", "Continue", "both", 1, True, ["link"]], ids=repr)
def test_a_mode_that_there_is_not_is_refused(bad: Any) -> None:
    for good in ("continue", "link", None):
        assert check(ConsumerConfig, CONSUMER, trace_mode=good).trace_mode == good
    for good in ("block", "raise", "shed"):
        assert check(PublisherConfig, PUBLISHER, on_full=good).on_full == good

    text = refusal(ConsumerConfig, CONSUMER, trace_mode=bad)
    assert text == f"trace_mode={bad!r}: expected 'continue' or 'link'"
    text = refusal(PublisherConfig, PUBLISHER, on_full=bad)
    assert text == f"on_full={bad!r}: expected one of 'block', 'raise', 'shed'"


# --- start_from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start_from", "after"),
    [
        ("beginning", "0"),
        ("latest", "$"),
        ("1713982500001-0", "1713982500001-0"),
        ("0-0", "0-0"),
        ("18446744073709551615-18446744073709551615", "18446744073709551615-18446744073709551615"),
        (datetime(1970, 1, 1, tzinfo=timezone.utc), "0-18446744073709551615"),
        (datetime(1969, 1, 1, tzinfo=timezone.utc), "0-18446744073709551615"),
        (datetime(1970, 1, 1, 0, 0, 2, tzinfo=timezone.utc), "1999-18446744073709551615"),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "0-18446744073709551615"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "0-18446744073709551615"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))), "253402351199998-18446744073709551615"),
    ],
    ids=str,
)
def test_a_group_may_start_at(start_from: str | datetime, after: str) -> None:
    assert start_id(start_from) == after
    assert check(ConsumerConfig, CONSUMER, start_from=start_from).start_from == start_from


@given(st.integers(2, 4_102_444_800_000), st.integers(0, 999), st.integers(-14 * 60, 14 * 60))
def test_a_group_that_starts_at_a_time_sees_the_entries_of_that_very_millisecond(
    millisecond: int, microsecond: int, minutes: int
) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
        milliseconds=millisecond, microseconds=microsecond
    )

    assert start_id(moment.astimezone(zone)) == f"{millisecond - 1}-18446744073709551615"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "end",
        "Beginning",
        "0",
        "$",
        ">",
        "1-",
        "-1-0",
        "1-0 ",
        "1-0\n",
        "1-*",
        "\u0661-\u0660",
        "18446744073709551616-0",
        "0-18446744073709551616",
        "9" * 5000 + "-0",
        0,
        1713982500001,
        None,
        b"1-0",
        ["1-0"],
    ],
    ids=lambda bad: repr(bad)[:30],
)
def test_a_group_cannot_start_at(bad: Any) -> None:
    text = refusal(ConsumerConfig, CONSUMER, start_from=bad)

    assert text.startswith(f"start_from={bad!r}: expected 'beginning', 'latest', an entry id")


def test_a_time_without_a_zone_is_refused() -> None:
    moment = datetime(2026, 4, 24)  # noqa: DTZ001 - what is tested

    assert (
        refusal(ConsumerConfig, CONSUMER, start_from=moment)
        == f"start_from={moment!r}: expected a datetime with a time zone"
    )


# --- the doors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "option"),
    [
        *((Consumer, option) for option in CONSUMER),
        *((partial(consume, "e", print), option) for option in CONSUMER),
        *((Publisher, option) for option in PUBLISHER),
        *((partial(publish, "e", {}), option) for option in ("redis_url", "stream", "group")),
    ],
)
def test_a_bad_option_is_refused_at_the_call(call: Any, option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option}="):
        call(**{option: -1})


def test_consume_and_the_consumer_have_the_same_options() -> None:
    def defaults(call: Any) -> dict[str, Any]:
        parameters = inspect.signature(call).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    assert defaults(consume) == defaults(Consumer.__init__)
