"""Settling entries that are ours: what each command does, alone and in a batch."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import HANDLER_TTL_MS, ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.errors import WrongKeyType
from streamix_queue.core.wire import frame, unframe
from tests.broker.backends import Backend
from tests.broker.commands import (
    DONE,
    DROPPED,
    EVENT,
    FENCED,
    FIELDS,
    GONE,
    Fenced,
    absolve,
    ack,
    dead_letter,
    hand_back,
    one,
    or_absent,
    park,
    retry_later,
    stale,
)

# --- ack --------------------------------------------------------------------------------------


def test_ack_ends_entries(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 3)

    assert one(me, commands.Ack(backend.keys.stream, ids[:2])) == DONE

    assert [p.entry_id for p in backend.pending(backend.keys.stream)] == [ids[2]]
    assert [i for i, _ in backend.entries(backend.keys.stream)] == ids, "the stream belongs to all groups"


def test_ack_is_idempotent(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 2)

    assert me.settle([commands.Ack(backend.keys.stream, ids)] * 2) == [DONE, DONE]
    assert one(me, commands.Ack(backend.keys.stream, [*ids, b"1-1"])) == DONE


def test_ack_does_not_ask_who_holds_the_entry(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id)

    assert one(me, ack(or_absent(backend.keys.stream, entry_id))) == DONE
    assert backend.owner(entry_id) is None


def test_ack_deletes_entries_of_an_inbox(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox(EVENT)
    ids = backend.leased(me, 3, inbox)

    assert one(me, commands.Ack(inbox, ids[:2])) == DONE

    assert [i for i, _ in backend.entries(inbox)] == [ids[2]]
    assert [p.entry_id for p in backend.pending(inbox)] == [ids[2]]


def test_ack_without_a_group_is_done(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.destroy_group(backend.keys.stream)

    assert one(me, commands.Ack(backend.keys.stream, [entry_id])) == DONE
    backend.delete(backend.keys.stream)
    assert one(me, commands.Ack(backend.keys.stream, [entry_id])) == DONE


# --- retry_later ---------------------------------------------------------------------------------


def test_schedule_puts_the_entry_into_the_delayed_set(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    before = backend.now_ms()

    assert one(me, retry_later(or_absent(backend.keys.stream, entry_id), delay_ms=5000)) == DONE

    ((member, due),) = backend.scores(backend.keys.delayed).items()
    assert before + 5000 <= due <= backend.now_ms() + 5000
    assert unframe(member) == [EVENT.encode(), *FIELDS]
    assert backend.pending(backend.keys.stream) == []


def test_schedule_of_the_same_fields_moves_the_due_time(backend: Backend, me: ConsumerBroker) -> None:
    first, second = backend.leased(me, 2)
    one(me, retry_later(or_absent(backend.keys.stream, first), delay_ms=5_000_000))

    assert one(me, retry_later(or_absent(backend.keys.stream, second), delay_ms=0)) == DONE

    (due,) = backend.scores(backend.keys.delayed).values()
    assert due <= backend.now_ms()


def test_schedule_keeps_different_entries_apart(backend: Backend, me: ConsumerBroker) -> None:
    first, second = backend.leased(me, 2)
    key = backend.keys.stream
    me.settle([commands.RetryLater(or_absent(key, first), 0, EVENT, [b"message", b"1"])])
    me.settle([commands.RetryLater(or_absent(key, second), 0, EVENT, [b"message", b"2"])])

    members = backend.scores(backend.keys.delayed)
    assert sorted(members) == sorted(frame([EVENT.encode(), b"message", text]) for text in (b"1", b"2"))


# --- dead_letter -------------------------------------------------------------------------------------


def test_bury_puts_the_entry_onto_the_dead_letter_stream(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)

    assert one(me, dead_letter(or_absent(backend.keys.stream, entry_id))) == DONE

    assert [fields for _, fields in backend.entries(backend.keys.failed)] == [FIELDS]
    assert backend.pending(backend.keys.stream) == []


def test_bury_keeps_any_bytes(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    fields = [b"", bytes(range(256)), b"\r\n", b"\x00" * 70_000]

    assert one(me, commands.DeadLetter(or_absent(backend.keys.stream, entry_id), fields)) == DONE

    assert [got for _, got in backend.entries(backend.keys.failed)] == [fields]


# --- park ----------------------------------------------------------------------------------


def test_forward_reaches_the_inbox_of_an_event_that_somebody_handles(
    backend: Backend, me: ConsumerBroker
) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.consumer("other").register(["order.paid", EVENT])

    assert one(me, commands.HandOver(or_absent(backend.keys.stream, entry_id), EVENT, FIELDS)) == DONE

    assert [fields for _, fields in backend.entries(backend.keys.inbox(EVENT))] == [FIELDS]
    assert backend.pending(backend.keys.stream) == []


def test_forward_drops_what_nobody_handles(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.consumer("other").register(["order.paid"])

    assert one(me, commands.HandOver(or_absent(backend.keys.stream, entry_id), EVENT, FIELDS)) == DROPPED

    assert backend.entries(backend.keys.inbox(EVENT)) == []
    assert backend.pending(backend.keys.stream) == []


@pytest.mark.parametrize(("ago_ms", "verdict"), [(-60_000, DONE), (60_000, DROPPED)])
def test_forward_forgets_a_member_that_was_not_seen_for_long(
    backend: Backend, me: ConsumerBroker, ago_ms: int, verdict: object
) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.register([EVENT])
    backend.set_score(backend.keys.handlers, EVENT.encode(), backend.now_ms() - HANDLER_TTL_MS - ago_ms)

    assert one(me, commands.HandOver(or_absent(backend.keys.stream, entry_id), EVENT, FIELDS)) == verdict


def test_forward_always_asks_nobody(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)

    assert one(me, park(or_absent(backend.keys.stream, entry_id))) == DONE

    assert [fields for _, fields in backend.entries(backend.keys.inbox(EVENT))] == [FIELDS]


def test_what_was_forwarded_before_its_inbox_had_a_group_is_read(
    backend: Backend, me: ConsumerBroker
) -> None:
    (entry_id,) = backend.leased(me, 1)
    one(me, park(or_absent(backend.keys.stream, entry_id)))
    other = backend.consumer("other")
    other.ensure_group(backend.keys.inbox(EVENT), "0")

    assert [fields for _, fields in backend.read(other, 10, backend.keys.inbox(EVENT))] == [FIELDS]


def test_register_forgets_events_that_nobody_named_for_long(backend: Backend, me: ConsumerBroker) -> None:
    me.register(["old", "new"])
    backend.set_score(backend.keys.handlers, b"old", backend.now_ms() - HANDLER_TTL_MS - 1)
    before = backend.now_ms()

    me.register(["new"])

    assert backend.scores(backend.keys.handlers).keys() == {b"new"}
    assert before <= backend.scores(backend.keys.handlers)[b"new"] <= backend.now_ms()


# --- what all of them have in common ----------------------------------------------------------


@pytest.mark.parametrize("command", FENCED)
def test_an_entry_of_an_inbox_goes_with_its_settlement(
    backend: Backend, me: ConsumerBroker, command: Fenced
) -> None:
    inbox = backend.keys.inbox("another.event")
    gone, kept = backend.leased(me, 2, inbox)

    assert one(me, command(or_absent(inbox, gone))) == DONE

    assert [i for i, _ in backend.entries(inbox)] == [kept]
    assert [p.entry_id for p in backend.pending(inbox)] == [kept]


@pytest.mark.parametrize("command", FENCED)
def test_settling_an_entry_forgets_that_it_was_a_suspect(
    backend: Backend, me: ConsumerBroker, command: Fenced
) -> None:
    first, second = backend.leased(me, 2)
    for entry_id in (first, second):
        me.suspect(or_absent(backend.keys.stream, entry_id))

    one(me, command(or_absent(backend.keys.stream, first)))

    assert backend.mapping(backend.keys.suspects) == {second: b"1 1"}


def test_a_batch_is_carried_out_in_order_with_an_answer_for_each(
    backend: Backend, me: ConsumerBroker
) -> None:
    key, inbox = backend.keys.stream, backend.keys.inbox("another.event")
    a, b, c, d, e, f = backend.leased(me, 6)
    g, h = backend.leased(me, 2, inbox)

    answers = me.settle(
        [
            commands.Ack(key, [a, b]),
            dead_letter(or_absent(key, c)),
            commands.Ack(inbox, [g]),
            retry_later(or_absent(key, d)),
            park(or_absent(inbox, h)),
            hand_back(or_absent(key, e), or_absent(key, a)),
            absolve(or_absent(key, e)),
            commands.HandOver(or_absent(key, f), "nobody's", FIELDS),
        ]
    )

    assert answers == [DONE, DONE, DONE, DONE, DONE, [DONE, GONE], DONE, DROPPED]
    assert [p.entry_id for p in backend.pending(key)] == [e]
    assert backend.pending(inbox) == []


def test_nothing_to_settle_is_nothing_to_answer(me: ConsumerBroker) -> None:
    assert me.settle([]) == []


def test_the_same_entry_is_settled_once_in_a_batch(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    lease = stale(backend.keys.stream, entry_id)

    assert me.settle([dead_letter(lease), dead_letter(lease), retry_later(lease)]) == [DONE, GONE, GONE]
    assert len(backend.entries(backend.keys.failed)) == 1


def test_a_batch_of_three_hundred(backend: Backend, me: ConsumerBroker) -> None:
    key = backend.keys.stream
    ids = backend.leased(me, 900)

    answers = me.settle(
        [
            commands.Ack(key, ids[:300]),
            *(commands.DeadLetter(or_absent(key, i), [b"message", i]) for i in ids[300:600]),
            *(commands.RetryLater(or_absent(key, i), 0, EVENT, [b"message", i]) for i in ids[600:]),
        ]
    )

    assert set(answers) == {DONE}
    assert len(answers) == 601
    assert [fields[1] for _, fields in backend.entries(backend.keys.failed)] == ids[300:600]
    assert len(backend.scores(backend.keys.delayed)) == 300
    assert backend.pending(key) == []


# --- keys of the wrong type -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "key"), [(retry_later, "delayed"), (dead_letter, "failed"), (park, "inbox")]
)
def test_a_key_of_another_type_leaves_that_entry_pending_and_the_batch_unharmed(
    backend: Backend, me: ConsumerBroker, command: Fenced, key: str
) -> None:
    first, hurt, last = backend.leased(me, 3)
    backend.make_wrong_type(backend.keys.inbox(EVENT) if key == "inbox" else getattr(backend.keys, key))
    others = [each for each in FENCED if each is not command]

    answers = me.settle(
        [
            others[0](or_absent(backend.keys.stream, first)),
            command(or_absent(backend.keys.stream, hurt)),
            others[1](or_absent(backend.keys.stream, last)),
        ]
    )

    assert [answers[0], answers[2]] == [DONE, DONE]
    assert isinstance(answers[1], WrongKeyType)
    assert [p[:3] for p in backend.pending(backend.keys.stream)] == [(hurt, b"me", 1)]


@pytest.mark.parametrize("command", FENCED)
def test_a_suspects_key_of_another_type_does_not_write_an_entry_twice(
    backend: Backend, me: ConsumerBroker, command: Fenced
) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.make_wrong_type(backend.keys.suspects)

    assert one(me, command(or_absent(backend.keys.stream, entry_id))) == DONE
    assert backend.pending(backend.keys.stream) == []


def test_a_source_of_another_type_is_told(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    lease = or_absent(backend.keys.stream, entry_id)
    backend.make_wrong_type(backend.keys.stream)

    for answer in me.settle(
        [ack(lease), dead_letter(lease), retry_later(lease), park(lease), hand_back(lease)]
    ):
        assert isinstance(answer, WrongKeyType)
    assert backend.entries(backend.keys.failed) == []


# --- entries that somebody made to hurt -------------------------------------------------------


@pytest.mark.parametrize("command", [commands.RetryLater, commands.DeadLetter, commands.HandOver])
def test_an_entry_with_a_great_many_fields_is_settled_with_all_of_them(
    backend: Backend, me: ConsumerBroker, command: type
) -> None:
    fields = [b"%d" % n for n in range(20_000)]
    (entry_id,) = backend.leased(me, 1)
    lease = or_absent(backend.keys.stream, entry_id)
    if command is commands.RetryLater:
        assert one(me, commands.RetryLater(lease, 0, EVENT, fields)) == DONE
        assert me.promote(me.due(10).members) == 1
        ((_, got),) = backend.entries(backend.keys.inbox(EVENT))
    elif command is commands.DeadLetter:
        assert one(me, commands.DeadLetter(lease, fields)) == DONE
        ((_, got),) = backend.entries(backend.keys.failed)
    else:
        assert one(me, commands.Park(lease, EVENT, fields)) == DONE
        ((_, got),) = backend.entries(backend.keys.inbox(EVENT))

    if got[-2] == b"streamix.overflow":  # what a script could not pass on lies in one field
        got[-2:] = unframe(got[-1])
    assert got == fields
