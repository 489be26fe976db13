"""Retries that wait: when they are due, and how they get to the inbox of their event."""

from __future__ import annotations

import threading

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.errors import Malformed, WrongKeyType
from streamix_queue.core.wire import frame
from tests.broker.backends import Backend
from tests.broker.commands import EVENT, FIELDS, or_absent, retry_later

HOUR_MS = 3_600_000


def member(event: str = EVENT, text: bytes = b"x") -> bytes:
    return frame([event.encode(), b"message", text])


def texts(backend: Backend, event: str = EVENT) -> list[bytes]:
    return [fields[1] for _, fields in backend.entries(backend.keys.inbox(event))]


# --- due ----------------------------------------------------------------------------------------


def test_nothing_is_due_when_nothing_waits(me: ConsumerBroker) -> None:
    due = me.due(10)

    assert (due.members, due.next_in_ms) == ([], None)


def test_what_is_due_comes_oldest_first(backend: Backend, me: ConsumerBroker) -> None:
    now = backend.now_ms()
    names = [member(text=b"%d" % n) for n in range(4)]
    for name, ago in zip(names, (300, 100, 400, 200), strict=True):
        backend.set_score(backend.keys.delayed, name, now - ago)

    assert me.due(10).members == [names[2], names[0], names[3], names[1]]
    assert me.due(2).members == [names[2], names[0]]


def test_what_is_not_due_yet_tells_when_to_look_again(backend: Backend, me: ConsumerBroker) -> None:
    now = backend.now_ms()
    backend.set_score(backend.keys.delayed, member(text=b"due"), now - 1)
    backend.set_score(backend.keys.delayed, member(text=b"late"), now + 2 * HOUR_MS)
    backend.set_score(backend.keys.delayed, member(text=b"soon"), now + HOUR_MS)

    due = me.due(10)

    assert due.members == [member(text=b"due")]
    assert due.next_in_ms is not None
    assert HOUR_MS - 10_000 < due.next_in_ms <= HOUR_MS


def test_a_retry_without_delay_is_due_at_once(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.settle([retry_later(or_absent(backend.keys.stream, entry_id), delay_ms=0)])

    assert me.due(10).members == [frame([EVENT.encode(), *FIELDS])]


def test_looking_moves_nothing(backend: Backend, me: ConsumerBroker) -> None:
    backend.set_score(backend.keys.delayed, member(), backend.now_ms() - 1)

    assert me.due(10).members == me.due(10).members == [member()]


# --- promote ------------------------------------------------------------------------------------


def test_promote_moves_to_the_inbox_of_each_event(backend: Backend, me: ConsumerBroker) -> None:
    names = [member("a", b"1"), member("b", b"2"), member("a", b"3")]
    for name in names:
        backend.set_score(backend.keys.delayed, name, backend.now_ms() - 1)

    assert me.promote(names) == 3

    assert (texts(backend, "a"), texts(backend, "b")) == ([b"1", b"3"], [b"2"])
    assert backend.scores(backend.keys.delayed) == {}


def test_promote_moves_only_what_it_is_told(backend: Backend, me: ConsumerBroker) -> None:
    due, later = member(text=b"due"), member(text=b"later")
    backend.set_score(backend.keys.delayed, due, backend.now_ms() - 1)
    backend.set_score(backend.keys.delayed, later, backend.now_ms() + HOUR_MS)

    assert me.promote(me.due(10).members) == 1

    assert texts(backend) == [b"due"]
    assert backend.scores(backend.keys.delayed).keys() == {later}


def test_promote_passes_over_what_another_moved_first(backend: Backend, me: ConsumerBroker) -> None:
    first, second = member(text=b"1"), member(text=b"2")
    for name in (first, second):
        backend.set_score(backend.keys.delayed, name, backend.now_ms() - 1)
    backend.consumer("other").promote([first])

    assert me.promote([first, second]) == 1
    assert me.promote([first, second]) == 0
    assert texts(backend) == [b"1", b"2"]


def test_promote_keeps_every_byte(backend: Backend, me: ConsumerBroker) -> None:
    fields = [b"message", bytes(range(256)), b"", b"", b"big", b"\x00" * 100_000]
    name = frame(["événement".encode(), *fields])
    backend.set_score(backend.keys.delayed, name, backend.now_ms() - 1)

    assert me.promote([name]) == 1

    assert [got for _, got in backend.entries(backend.keys.inbox("événement"))] == [fields]


def test_three_hundred_are_promoted(backend: Backend, me: ConsumerBroker) -> None:
    names = [member(f"event.{n % 7}", b"%d" % n) for n in range(300)]
    for number, name in enumerate(names):
        backend.set_score(backend.keys.delayed, name, number)

    assert me.promote(me.due(300).members) == 300

    assert sum(len(texts(backend, f"event.{n}")) for n in range(7)) == 300
    assert texts(backend, "event.0") == [b"%d" % n for n in range(0, 300, 7)]


def test_promoting_nothing(me: ConsumerBroker) -> None:
    assert me.promote([]) == 0


def test_movers_that_race_move_each_member_once(backend: Backend) -> None:
    names = [member(text=b"%d" % n) for n in range(200)]
    for name in names:
        backend.set_score(backend.keys.delayed, name, 1)
    movers = [backend.consumer(f"mover{n}") for n in range(4)]
    start = threading.Barrier(len(movers))
    moved: list[int] = []

    def move(broker: ConsumerBroker) -> None:
        start.wait(10)
        while members := broker.due(7).members:
            moved.append(broker.promote(members))

    threads = [threading.Thread(target=move, args=(broker,)) for broker in movers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(moved) == 200
    assert sorted(texts(backend), key=int) == [b"%d" % n for n in range(200)]
    assert backend.scores(backend.keys.delayed) == {}


def test_an_inbox_of_another_type_keeps_its_retries_waiting_and_no_others(
    backend: Backend, me: ConsumerBroker
) -> None:
    before, hurt, after = member("a"), member("hurt"), member("b")
    for name in (before, hurt, after):
        backend.set_score(backend.keys.delayed, name, 1)
    backend.make_wrong_type(backend.keys.inbox("hurt"))

    with pytest.raises(WrongKeyType):
        me.promote([before, hurt, after])

    assert (texts(backend, "a"), texts(backend, "b")) == ([b"x"], [b"x"])
    assert backend.scores(backend.keys.delayed).keys() == {hurt}
    assert me.due(10).members == [], "it is put off, so that it does not stand before the others"

    backend.delete(backend.keys.inbox("hurt"))
    assert me.promote([hurt]) == 1


def test_a_delayed_key_of_another_type_is_told(backend: Backend, me: ConsumerBroker) -> None:
    backend.make_wrong_type(backend.keys.delayed)

    with pytest.raises(WrongKeyType):
        me.due(10)
    with pytest.raises(WrongKeyType):
        me.promote([member()])


# --- members that cannot be read ----------------------------------------------------------------


@pytest.mark.parametrize("bad", [b"{}", b"\x00\x00\x00\x09short", member()[:-1]])
def test_what_is_no_frame_does_not_move_and_harms_no_other(
    backend: Backend, me: ConsumerBroker, bad: bytes
) -> None:
    for name in (bad, member()):
        backend.set_score(backend.keys.delayed, name, 1)

    with pytest.raises(Malformed):
        me.promote([member(), bad])

    assert backend.scores(backend.keys.delayed).keys() == {bad, member()}
    assert texts(backend) == []


def test_a_discarded_member_is_kept_on_the_dead_letter_stream(backend: Backend, me: ConsumerBroker) -> None:
    bad = b"\xff not a frame"
    backend.set_score(backend.keys.delayed, bad, 1)

    me.discard_delayed(bad, [b"message", b"why", b"raw", bad])
    me.discard_delayed(bad, [b"message", b"why", b"raw", bad])

    assert [fields for _, fields in backend.entries(backend.keys.failed)] == [
        [b"message", b"why", b"raw", bad]
    ]
    assert backend.scores(backend.keys.delayed) == {}


def test_a_member_stays_when_the_dead_letter_stream_is_of_another_type(
    backend: Backend, me: ConsumerBroker
) -> None:
    backend.set_score(backend.keys.delayed, b"bad", 1)
    backend.make_wrong_type(backend.keys.failed)

    with pytest.raises(WrongKeyType):
        me.discard_delayed(b"bad", FIELDS)

    assert backend.scores(backend.keys.delayed).keys() == {b"bad"}
