"""The seams of the core that telemetry hooks into: what they promise to observers and interceptors."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any

import pytest

from streamix_queue import BrokerError, Publisher
from streamix_queue.core import facts
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import ACK
from streamix_queue.core.publication import Publication
from streamix_queue.core.wire import carrier_fields
from streamix_telemetry.catalogue import WORKERS
from streamix_telemetry.metrics import consumer_gauges
from tests.support.members import Handler, eventually, member
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.telemetry.scenes import EVENT, consuming, fail_until, publish


class Recorder:
    """Writes down every fact; a `Publication` or `Attempt` as it was when its scope ended."""

    def __init__(self) -> None:
        self.facts: list[facts.Fact] = []
        self.published: list[tuple[Any, ...]] = []
        self.processed: list[tuple[Any, ...]] = []

    def notice(self, fact: facts.Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if type(fact) is kind]

    @contextmanager
    def publishing(self, publication: Publication) -> Any:
        for n, carrier in enumerate(publication.carriers):
            carrier["x-n"] = str(n)
        try:
            yield
        finally:
            self.published.append((publication.batch, list(publication.sizes), list(publication.entry_ids)))

    @contextmanager
    def processing(self, attempt: Attempt) -> Any:
        before = attempt.outcome
        yield
        self.processed.append((before, attempt.outcome, attempt.failure, threading.current_thread().name))


def test_a_publish_tells_its_interceptor_the_ids_and_writes_what_it_asked_for(
    any_server: Server, stream: str
) -> None:
    seen = Recorder()
    with Publisher(any_server.url, stream, observers=[seen], interceptors=[seen]) as publisher:
        publisher.publish(EVENT, {})
        publisher.publish_many([(EVENT, {})] * 700)

    with any_server.client() as client:
        entries = client.xrange(stream)
    ids = [entry_id for entry_id, _ in entries]
    (one, one_sizes, one_id), (many, many_sizes, many_ids) = seen.published
    assert (one, many) == (False, True)
    assert [*one_id, *many_ids] == ids
    assert [fields[b"x-n"] for _, fields in entries] == [b"0", *(b"%d" % n for n in range(700))]
    assert [*one_sizes, *many_sizes] == [len(fields[b"message"]) for _, fields in entries]
    first, second = seen.of(facts.Published)
    assert (first.count, second.count, second.size_bytes, list(second.sizes)) == (
        1,
        700,
        sum(many_sizes),
        many_sizes,
    )


def test_a_publish_that_fails_ends_its_interceptors_scope_with_the_error(
    any_server: Server, stream: str
) -> None:
    seen = Recorder()
    with any_server.client() as client:
        client.set(stream, "no stream")
    with (
        Publisher(any_server.url, stream, observers=[seen], interceptors=[seen]) as publisher,
        pytest.raises(BrokerError) as raised,
    ):
        publisher.publish(EVENT, {})

    assert seen.published == [(False, [seen.of(facts.Published)[0].size_bytes], [])]
    assert seen.of(facts.Published)[0].error_type == type(raised.value).__name__


@pytest.mark.parametrize(
    ("carrier", "fields"),
    [
        ({}, []),
        ({"a": "b", "c": "ü"}, [b"a", b"b", b"c", "ü".encode()]),
        ({"message": "mine", "streamix": "mine", "a": "b"}, [b"a", b"b"]),
        ({"a": "\ud800", "b": 1, 2: "c", "d": None}, []),
    ],
)
def test_a_carrier_can_neither_harm_the_message_nor_take_its_place(carrier: Any, fields: list[bytes]) -> None:
    assert carrier_fields(carrier) == fields


def test_an_interceptor_sees_the_delivery_before_and_after_its_handler(
    any_server: Server, stream: str
) -> None:
    seen = Recorder()
    publish(any_server, stream)
    with consuming(any_server, stream, fail_until(2), observers=[seen], interceptors=[seen]):
        eventually(lambda: len(seen.processed) == 2)

    (before, retry, failure, thread), (_, ack, no_failure, _) = seen.processed
    assert (before, retry.name, failure.error_type, thread) == (
        None,
        "retry",
        "ValueError",
        "streamix.worker-1",
    )
    assert (ack, no_failure) == (ACK, None)


def test_facts_tell_when_it_was_sent_and_when_it_was_confirmed(any_server: Server, stream: str) -> None:
    seen = Recorder()
    publish(any_server, stream)
    with consuming(any_server, stream, Handler(), observers=[seen]):
        eventually(lambda: seen.of(facts.Settled))

    (settled,) = seen.of(facts.Settled)
    (attempt,) = settled.attempts
    assert attempt.entry.read_at <= attempt.started_at <= attempt.finished_at <= settled.sent_at <= settled.at
    called = {fact.command for fact in seen.of(facts.Called)}
    assert {"connect", "ensure_group", "register", "settle", "due"} <= called


def test_an_ack_of_an_entry_that_is_pending_no_more_is_told(any_server: Server, stream: str) -> None:
    seen = Recorder()
    inside, go_on = threading.Event(), threading.Event()

    def handler(data: dict[str, Any]) -> None:
        inside.set()
        go_on.wait(10)

    publish(any_server, stream)
    with (
        any_server.client() as client,
        consuming(any_server, stream, handler, observers=[seen], claim_idle_ms=60_000),
    ):
        assert inside.wait(10)
        ((entry_id, _),) = client.xrange(stream)
        client.xack(stream, "g", entry_id)
        go_on.set()
        eventually(lambda: seen.of(facts.Settled))

    assert sum(fact.unacked for fact in seen.of(facts.Called)) == 1


def test_leases_that_could_not_be_renewed_are_told(start_server: Any, stream: str) -> None:
    server: Server = start_server()
    seen = Recorder()
    inside, go_on = threading.Event(), threading.Event()

    def handler(data: dict[str, Any]) -> None:
        inside.set()
        go_on.wait(20)

    publish(server, stream)
    with Proxy(server.port) as proxy:
        consumer = member(proxy.url, stream, observers=[seen], claim_idle_ms=600)
        consumer.on(EVENT, handler)
        with consumer:
            assert inside.wait(10)
            proxy.refusing = True
            proxy.cut()
            eventually(lambda: any(fact.error_type for fact in seen.of(facts.Renewed)))
            proxy.refusing = False
            go_on.set()


def test_waiting_for_room_is_told(any_server: Server, stream: str) -> None:
    seen = Recorder()
    go_on = threading.Event()
    publish(any_server, stream, 5)
    with consuming(any_server, stream, lambda data: go_on.wait(10), observers=[seen], prefetch=1):
        eventually(lambda: sum(fact.seconds for fact in seen.of(facts.Throttled)) > 0.1)
        go_on.set()


def test_a_taken_over_entry_is_told_before_it_runs(any_server: Server, stream: str) -> None:
    order: list[str] = []

    class Order:
        def notice(self, fact: facts.Fact) -> None:
            if isinstance(fact, facts.Reclaimed):
                order.append(f"reclaimed {[attempt.entry.id for attempt in fact.attempts]}")

    publish(any_server, stream)
    with any_server.client() as client:
        client.xgroup_create(stream, "g", "0")
        ((_, ((entry_id, _),)),) = client.xreadgroup("g", "dead", {stream: ">"})
        handler = Handler(lambda data, message: order.append("handled"))
        with consuming(any_server, stream, handler, observers=[Order()], claim_idle_ms=300):
            handler.wait_for(1)

    assert order == [f"reclaimed {[entry_id]}", "handled"]


def test_a_running_consumer_can_be_looked_at(any_server: Server, stream: str) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def handler(data: dict[str, Any]) -> None:
        inside.set()
        go_on.wait(10)

    publish(any_server, stream, 3)
    with consuming(any_server, stream, handler, concurrency=1) as consumer:
        assert inside.wait(10)
        run = consumer._run
        assert run is not None
        eventually(lambda: run.vitals().held == 3)
        vitals = run.vitals()
        gauges = {(gauge.metric, gauge.labels): gauge.value for gauge in consumer_gauges(stream, "g", vitals)}
        go_on.set()

    names = {actor.name for actor in vitals.actors}
    assert {"fetcher", "settler", "renewer", "reclaimer", "scheduler", "worker-1"} <= names
    assert all(actor.running for actor in vitals.actors)
    assert (vitals.workers, vitals.running, vitals.draining, vitals.outage_s) == (1, 1, False, 0.0)
    assert vitals.oldest_running_s > 0
    assert vitals.capacity >= vitals.held
    assert gauges[WORKERS, ("g", "busy")] == 1
    assert sum(vitals.mailboxes.values()) <= 2
