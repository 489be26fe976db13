"""Reading new entries: what is delivered, to whom, how much, and how a wait ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.errors import BrokerUnavailable, GroupMissing, WrongKeyType
from tests.broker.backends import Backend, eventually

BLOCK_MS = 20_000
"""Longer than any test may take, so that a read which is not woken fails the test."""


def in_thread(call: Callable[[], object]) -> Future[object]:
    """The call on a thread of its own, and where its result will be."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_entries_come_in_order_with_their_fields(backend: Backend, me: ConsumerBroker) -> None:
    ids = [backend.add(backend.keys.stream, b"message", b"%d" % n, b"traceparent", b"00-1") for n in range(3)]

    got = backend.read(me)

    assert got == [(i, [b"message", b"%d" % n, b"traceparent", b"00-1"]) for n, i in enumerate(ids)]


def test_what_was_read_is_pending_for_its_reader(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)

    (held,) = backend.pending(backend.keys.stream)
    assert held[:3] == (entry_id, b"me", 1)
    assert held.idle_ms < 5000


def test_an_entry_goes_to_one_member_only(backend: Backend, me: ConsumerBroker) -> None:
    other = backend.consumer("other")
    backend.leased(me, 2)

    assert backend.read(other) == []
    assert {p.owner for p in backend.pending(backend.keys.stream)} == {b"me"}


def test_nothing_new_is_an_empty_answer(backend: Backend, me: ConsumerBroker) -> None:
    assert list(me.read([backend.keys.stream], 10, 0)) == []


def test_a_read_that_may_not_block_returns_at_once(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: me.read([backend.keys.stream], 10, 0))

    assert not future.result(10)


def test_a_read_gives_up_when_its_time_is_over(backend: Backend, me: ConsumerBroker) -> None:
    before = time.monotonic()

    assert not me.read([backend.keys.stream], 10, 50)
    assert time.monotonic() - before >= 0.045


def test_count_limits_each_key(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox("user.created")
    me.ensure_group(inbox, "0")
    for key in (backend.keys.stream, inbox):
        for _ in range(5):
            backend.add(key, b"message", b"x")

    got = me.read([backend.keys.stream, inbox], 3, 0)

    assert [(key, len(entries)) for key, entries in got] == [(backend.keys.stream, 3), (inbox, 3)]
    assert len(backend.read(me)) == 2


def test_a_key_without_news_is_left_out(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox("user.created")
    me.ensure_group(inbox, "0")
    entry_id = backend.add(inbox, b"message", b"x")

    got = me.read([backend.keys.stream, inbox], 3, BLOCK_MS)

    assert [(key, [i for i, _ in entries]) for key, entries in got] == [(inbox, [entry_id])]


def test_nothing_is_delivered_when_the_group_of_one_key_is_missing(
    backend: Backend, me: ConsumerBroker
) -> None:
    backend.add(backend.keys.stream, b"message", b"x")

    with pytest.raises(GroupMissing):
        me.read([backend.keys.stream, backend.keys.inbox("no.such")], 3, 0)

    assert backend.pending(backend.keys.stream) == []
    assert len(backend.read(me)) == 1


def test_a_key_of_another_type_is_told(backend: Backend, me: ConsumerBroker) -> None:
    backend.make_wrong_type(backend.keys.stream)

    with pytest.raises(WrongKeyType):
        me.read([backend.keys.stream], 1, 0)


def test_fields_may_hold_any_bytes(backend: Backend, me: ConsumerBroker) -> None:
    every_byte = bytes(range(256))
    fields = [
        b"",
        b"",
        b"message",
        every_byte,
        b"\xff\xfe\x00",
        b"\r\n$-1\r\n",
        b"twice",
        b"1",
        b"twice",
        b"2",
    ]
    backend.add(backend.keys.stream, *fields)

    ((_, got),) = backend.read(me)

    assert got == fields


def test_a_blocked_read_wakes_up_for_a_new_entry(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)

    entry_id = backend.publisher().add(backend.keys.stream, [b"message", b"x"])

    assert future.result(10) == [entry_id]


def test_a_blocked_read_of_several_keys_wakes_up_for_each(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox("user.created")
    me.ensure_group(inbox, "0")
    for key in (backend.keys.stream, inbox):
        future = in_thread(lambda: backend_read(backend, me, backend.keys.stream, inbox))
        eventually(lambda: backend.blocked_reads() == 1)

        entry_id = backend.add(key, b"message", b"x")

        assert future.result(10) == [entry_id]


def test_an_entry_wakes_up_one_of_two_blocked_members(backend: Backend, me: ConsumerBroker) -> None:
    other = backend.consumer("other")
    first = in_thread(lambda: backend_read(backend, me))
    second = in_thread(lambda: backend_read(backend, other))
    eventually(lambda: backend.blocked_reads() == 2)

    one = backend.add(backend.keys.stream, b"message", b"1")
    eventually(lambda: backend.blocked_reads() == 1)
    two = backend.add(backend.keys.stream, b"message", b"2")

    assert sorted([first.result(10), second.result(10)], key=repr) == [[one], [two]]


def test_interrupt_ends_a_blocked_read(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)

    me.interrupt()

    assert future.result(10) == []


def test_interrupt_loses_nothing(backend: Backend, me: ConsumerBroker) -> None:
    for _ in range(20):
        future = in_thread(lambda: backend_read(backend, me))
        # The interrupt of the round before may come so late that it ends this read at once.
        eventually(lambda f=future: backend.blocked_reads() == 1 or f.done())  # type: ignore[misc]
        adding = in_thread(lambda: backend.publisher().add(backend.keys.stream, [b"message", b"x"]))
        me.interrupt()

        entry_id = adding.result(10)
        got = future.result(10) or [i for i, _ in backend.read(me)]
        assert got == [entry_id]


def test_interrupt_comes_too_early_and_still_ends_the_next_read(backend: Backend, me: ConsumerBroker) -> None:
    backend.read(me)
    me.interrupt()

    assert in_thread(lambda: backend_read(backend, me)).result(10) == []


def test_an_interrupt_ends_one_read_only(backend: Backend, me: ConsumerBroker) -> None:
    me.interrupt()
    backend.read(me)
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)

    entry_id = backend.add(backend.keys.stream, b"message", b"x")

    assert future.result(10) == [entry_id]


def test_interrupt_races_with_the_start_of_a_read(backend: Backend, me: ConsumerBroker) -> None:
    for _ in range(30):
        started = threading.Event()

        def read(started: threading.Event = started) -> list[bytes]:
            started.set()
            return backend_read(backend, me)

        future = in_thread(read)
        started.wait(10)
        me.interrupt()

        assert future.result(10) == []


def test_abort_breaks_a_read_that_does_not_return(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)

    me.abort()

    with pytest.raises(BrokerUnavailable):
        future.result(10)


def test_a_broker_works_on_after_it_was_aborted(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)
    me.abort()
    with pytest.raises(BrokerUnavailable):
        future.result(10)
    # A server under load may hear of the new entry first, and give it to the connection that is gone.
    eventually(lambda: backend.blocked_reads() == 0)
    entry_id = backend.add(backend.keys.stream, b"message", b"x")

    assert [i for i, _ in backend.read(me)] == [entry_id]


def test_a_blocked_read_notices_that_its_group_is_destroyed(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)

    backend.destroy_group(backend.keys.stream)

    with pytest.raises(GroupMissing):
        future.result(10)


def test_a_blocked_read_notices_that_its_stream_is_deleted(backend: Backend, me: ConsumerBroker) -> None:
    future = in_thread(lambda: backend_read(backend, me))
    eventually(lambda: backend.blocked_reads() == 1)

    backend.delete(backend.keys.stream)

    if not backend.drops_trimmed_entries:  # Redis 6.2 sleeps on (redis#6887)
        me.interrupt()
        assert future.result(10) == []
        return
    with pytest.raises(GroupMissing):
        future.result(10)


def test_a_closed_broker_opens_again(backend: Backend, me: ConsumerBroker) -> None:
    me.close()
    entry_id = backend.add(backend.keys.stream, b"message", b"x")

    assert [i for i, _ in backend.read(me)] == [entry_id]
    me.close()
    me.close()


def backend_read(backend: Backend, broker: ConsumerBroker, *keys: bytes) -> list[bytes]:
    """Ids from a read that waits for as long as it takes."""
    got = broker.read(keys or (backend.keys.stream,), 10, BLOCK_MS)
    return [i for _, entries in got for i, _ in entries]
