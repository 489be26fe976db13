"""A broker that is watched does what it did before, is counted, and is in nobody's trace."""

from __future__ import annotations

import pytest
from opentelemetry import context, trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.facts import Called, Fact
from streamix_telemetry.watched_broker import watched
from tests.telemetry.seen import Seen


class Broker:
    """One that writes down in what context it was called."""

    def __init__(self) -> None:
        self.enabled: list[bool] = []
        self.recording: list[bool] = []
        self.unacked = 0
        self.name = "mine"

    def _note(self) -> None:
        self.enabled.append(is_instrumentation_enabled())
        self.recording.append(trace.get_current_span().is_recording())

    def renew(self, key: bytes, *, page: int = 1) -> tuple[bytes, int]:
        self._note()
        return key, page

    def settle(self, commands: list[str]) -> list[str]:
        self._note()
        self.unacked = 2
        return commands

    def read(self, count: int) -> int:
        self._note()
        return count

    def due(self) -> None:
        raise BrokerUnavailable("away")

    def interrupt(self) -> str:
        return "interrupted"


def test_calls_go_on_with_their_arguments_and_are_stated_under_their_names() -> None:
    facts: list[Fact] = []
    broker = watched(Broker(), facts.append)

    assert broker.renew(b"k", page=2) == (b"k", 2)
    assert broker.settle(["ack"]) == ["ack"]
    assert broker.read(3) == 3  # most of its time is waiting: it is a `Polled`
    assert broker.interrupt() == "interrupted"
    assert broker.name == "mine"
    with pytest.raises(BrokerUnavailable):
        broker.due()

    told = [(f.command, f.error_type, f.unacked) for f in facts if isinstance(f, Called)]
    assert told == [("renew", "", 0), ("settle", "", 0), ("ack", "", 2), ("due", "BrokerUnavailable", 0)]


def test_no_instrumentation_records_inside_and_the_callers_context_comes_back(spans: Seen) -> None:
    inner = Broker()
    broker = watched(inner, lambda fact: None)
    with trace.get_tracer("shop").start_as_current_span("outer") as outer:
        broker.renew(b"k")
        broker.read(1)
        broker.settle([])
        with pytest.raises(BrokerUnavailable):
            broker.due()
        assert trace.get_current_span() is outer
        assert is_instrumentation_enabled()

    assert inner.enabled == [False] * 3
    assert inner.recording == [False] * 3
    assert context.get_current() == {}
    assert [span.name for span in spans.all()] == ["outer"]
