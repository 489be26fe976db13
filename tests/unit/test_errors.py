"""The exceptions: what a handler may raise, what a caller may catch, and how they relate."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
import redis

import streamix_queue
from streamix_queue.broker.redis.errors import classify
from streamix_queue.core import errors
from streamix_queue.core.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    ClusterKeyError,
    ConfigError,
    GroupMissing,
    HandlerTimeout,
    InvalidMessage,
    InvalidMessageType,
    MessageTooLarge,
    NotEnoughReplicas,
    OutOfMemory,
    PublishUnknown,
    Reject,
    Retry,
    StreamixError,
    WrongKeyType,
)

KINDS = [getattr(errors, name) for name in errors.__all__]
YEAR_S = 366 * 86_400


# --- what a handler raises ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (None, None),
        (0, 0),
        (30, 30),
        (2.5, 2.5),
        (timedelta(hours=1), 3600.0),
        (timedelta(0), 0.0),
        (YEAR_S - 1, YEAR_S - 1),
    ],
)
def test_a_retry_says_in_seconds_when(after: Any, seconds: float | None) -> None:
    assert Retry(after).after == seconds
    assert Retry(after=after, reason="rate limited").after == seconds


@pytest.mark.parametrize(
    "after", [-1, -0.001, YEAR_S, float("inf"), float("nan"), timedelta(seconds=-1), timedelta(days=366)]
)
def test_a_retry_at_no_sensible_time_is_refused(after: Any) -> None:
    with pytest.raises(ValueError, match=r"^Retry\(after=.*\): expected 0 to 366 days, in seconds$"):
        Retry(after=after)


def test_the_reason_is_the_text() -> None:
    assert str(Retry(after=1, reason="rate limited")) == "rate limited"
    assert str(Retry()) == "the handler asked for a retry"
    assert str(Reject("no such user")) == "no such user"
    assert str(Reject()) == "rejected by the handler"


@pytest.mark.parametrize("kind", [Retry, Reject])
def test_what_a_handler_raises_is_no_error_of_the_library(kind: type[Exception]) -> None:
    """``except StreamixError`` around a nested publish must not swallow it."""
    assert not issubclass(kind, StreamixError)
    assert issubclass(kind, Exception)


# --- what a caller catches ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (Retry, Reject)])
def test_one_except_catches_whatever_the_library_raises(kind: type[Exception]) -> None:
    assert issubclass(kind, StreamixError)


# Told from one part of the library to another; nobody outside gets to see them.
INSIDE = {"streamix_queue.runtime.mailbox.Closed"}


def test_one_except_catches_what_other_parts_of_the_library_raise_too() -> None:
    """Fails when a module outside `errors` makes an exception that is no `StreamixError`.

    Those of the command are its own, except what it passes on.
    """
    found: dict[str, type[BaseException]] = {}
    for module in walk_packages(streamix_queue.__path__, "streamix_queue."):
        if not module.name.startswith(("streamix_queue.cli", "streamix_queue.__main__")):
            for value in vars(import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, BaseException):
                    found[f"{value.__module__}.{value.__qualname__}"] = value
    outside = {
        name
        for name, kind in found.items()
        if name.startswith("streamix_queue.") and not issubclass(kind, StreamixError)
    }

    assert len(found) > 20
    assert outside - INSIDE == {
        "streamix_queue.core.errors.Retry",
        "streamix_queue.core.errors.Reject",
    }


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (ConfigError, [ValueError]),
        (ClusterKeyError, [ConfigError]),
        (InvalidMessage, [ValueError]),
        (InvalidMessageType, [TypeError]),
        (MessageTooLarge, [InvalidMessage]),
        (BrokerUnavailable, [BrokerError]),
        (BrokerRefused, [BrokerError]),
        (GroupMissing, [BrokerError]),
        (WrongKeyType, [BrokerError]),
        (OutOfMemory, [BrokerError]),
        (NotEnoughReplicas, [BrokerUnavailable]),
        (HandlerTimeout, [TimeoutError]),
        (PublishUnknown, [BrokerUnavailable]),
    ],
)
def test_errors_are_also_what_they_amount_to(kind: type[Exception], parents: list[type[Exception]]) -> None:
    assert all(issubclass(kind, parent) for parent in parents)


@pytest.mark.parametrize("kind", [BrokerRefused, GroupMissing, WrongKeyType, OutOfMemory])
def test_what_waiting_does_not_mend_is_not_unavailable(kind: type[Exception]) -> None:
    assert not issubclass(kind, BrokerUnavailable)


def test_every_error_can_be_imported_from_the_front_door() -> None:
    internal = {"HandlerTimeout", "Malformed", "NotReplayable"}  # nobody gets to catch these

    assert {name for name in errors.__all__ if not hasattr(streamix_queue, name)} <= internal


def test_only_a_lost_reply_leaves_it_open_whether_the_command_was_carried_out() -> None:
    assert NotEnoughReplicas("x").nothing_done
    assert not BrokerUnavailable("x").nothing_done, "until somebody knows better"
    assert not PublishUnknown("x", "id").nothing_done


# --- from process to process ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        Retry(after=2.5, reason="later"),
        Retry(),
        Reject("no"),
        PublishUnknown("lost", "id-1"),
        ConfigError("x"),
        OutOfMemory("y"),
        HandlerTimeout("z"),
        classify(redis.ResponseError("BUSYGROUP Consumer Group name already exists"), "redis://h"),
    ],
    ids=repr,
)
def test_an_error_survives_the_way_from_another_process(error: Exception) -> None:
    """A handler may use a process pool, which pickles what is raised there."""
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert getattr(again, "code", None) == getattr(error, "code", None)
        assert getattr(again, "after", None) == getattr(error, "after", None)
        assert getattr(again, "message_id", None) == getattr(error, "message_id", None)
