"""Pausing events of a group: told with what is due, and kept until somebody resumes them."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.errors import OutOfMemory, WrongKeyType
from tests.broker.backends import Backend, eventually


def test_a_pause_is_told_with_what_is_due(backend: Backend, me: ConsumerBroker) -> None:
    assert me.due(10).paused == frozenset()

    backend.consumer("operator").pause(["order.paid", "bücher"])

    assert me.due(10).paused == {"order.paid", "bücher"}


def test_a_pause_tells_since_when(backend: Backend, me: ConsumerBroker) -> None:
    before = backend.now_ms()

    me.pause(["a"])

    assert before <= me.paused()["a"] <= backend.now_ms()


def test_pausing_twice_keeps_the_first_time(backend: Backend, me: ConsumerBroker) -> None:
    assert me.pause(["a"]) == 1
    since = me.paused()
    eventually(lambda: backend.now_ms() > since["a"])

    assert me.pause(["a", "b"]) == 1
    assert me.paused()["a"] == since["a"]


def test_what_is_resumed_is_paused_no_more(backend: Backend, me: ConsumerBroker) -> None:
    me.pause(["a", "b"])

    assert me.resume(["a", "never paused"]) == 1
    assert me.due(10).paused == {"b"}
    assert me.resume(["b"]) == 1
    assert me.paused() == {}


def test_nothing_to_pause_and_nothing_to_resume(backend: Backend, me: ConsumerBroker) -> None:
    assert (me.pause([]), me.resume([])) == (0, 0)


def test_a_pause_is_of_one_group(backend: Backend, me: ConsumerBroker) -> None:
    me.pause(["a"])

    assert backend.consumer(group="other").due(10).paused == frozenset()


def test_pauses_that_cannot_be_read_pause_nothing(backend: Backend, me: ConsumerBroker) -> None:
    backend.make_wrong_type(backend.keys.paused)

    assert me.due(10).paused == frozenset()
    for attempt in (lambda: me.pause(["a"]), lambda: me.resume(["a"]), me.paused):
        with pytest.raises(WrongKeyType):
            attempt()


def test_a_full_server_takes_no_pause_but_lets_resume(backend: Backend, me: ConsumerBroker) -> None:
    me.pause(["a"])
    backend.fill(True)
    try:
        with pytest.raises(OutOfMemory):
            me.pause(["b"])
        assert me.resume(["a"]) == 1
    finally:
        backend.fill(False)
