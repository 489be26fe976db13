"""A replay brings a message back to where it failed, as it was, and to nobody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin, DeadLetterFilter, Refused
from streamix_queue.core.wire import History
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.members import eventually
from tests.support.servers import Server

TRACE = {
    b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"tracestate": b"vendor=1",
    b"baggage": b"tenant=acme",
}


def entries(server: Server, key: str) -> list[dict[bytes, bytes]]:
    found: Any = server.client().xrange(key)
    return [fields for _, fields in found]


def inbox(stream: str, group: str) -> str:
    return f"{stream}:{group}:inbox:{EVENT}"


def test_a_replay_reaches_the_group_in_which_it_failed_and_no_other(server: Server, stream: str) -> None:
    billing = Service(server.url, stream, "billing", broken=True)
    mailer = Service(server.url, stream, "mailer")
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin:
        message = publisher.publish(EVENT, {"n": 1})
        with running(billing, mailer):
            (letter,) = letters(admin, 1)
            billing.broken = False
            report = admin.replay([letter.id])
            billing.handler.wait_for(2)
            # What mailer would get wrongly it would get before this one.
            publisher.publish(EVENT, {"n": 2})
            mailer.handler.wait_until(lambda calls: bool(calls) and calls[-1].data["n"] == 2)

        assert report.ok
        assert [(done.message_id, done.group) for done in report.replayed] == [(message.id, "billing")]
        assert [call.message.id for call in billing.handler.of(n=1)] == [message.id, message.id]
        assert mailer.handler.values() == [1, 2]
        assert len(entries(server, stream)) == 2, "nothing was added to the shared stream"
        assert admin.count_dead_letters() == 0


def test_a_replayed_message_is_as_it_was_published(server: Server, stream: str) -> None:
    data = b'{"amount" : 1.50,  "who":"J\xc3\xb6rg", "big":123456789012345678901234567890, "x":1, "x":2}'
    stamps = b'{"created_at":"2026-01-02T03:04:05+00:00","updated_at":"2026-01-02T03:04:05+00:00"}'
    raw = b'{"id":"m-1","event":"order.placed","data":%b,"retries":0,"timestamps":%b}' % (data, stamps)
    entry: dict[Any, Any] = {b"message": raw, **TRACE}
    entry_id: Any = server.client().xadd(stream, entry)
    billing = Service(server.url, stream, "billing", broken=True)
    with Admin(server.url, stream) as admin:
        with running(billing):
            (letter,) = letters(admin, 1)
        assert admin.replay([letter.id]).ok

        (fields,) = entries(server, inbox(stream, "billing"))
        envelope = msgspec.json.decode(fields[b"message"], type=dict[str, msgspec.Raw])
        assert bytes(envelope["data"]) == data
        assert bytes(envelope["id"]) == b'"m-1"'
        assert bytes(envelope["retries"]) == b"0"
        timestamps = msgspec.json.decode(envelope["timestamps"])
        assert timestamps["created_at"] == "2026-01-02T03:04:05+00:00"
        assert timestamps["updated_at"] > "2026-01-02T03:04:05+00:00"
        assert {name: fields[name] for name in TRACE} == TRACE

        history = msgspec.json.decode(fields[b"streamix"], type=History)
        assert (history.cause, history.replays) == ("replay", 1)
        assert history.source_id == entry_id.decode()
        assert [attempt.error_type for attempt in history.attempts] == ["RuntimeError"]


def test_trace_fields_are_there_at_every_attempt(server: Server, stream: str) -> None:
    envelope = {
        "id": "m-1",
        "event": EVENT,
        "data": {},
        "retries": 0,
        "timestamps": {"created_at": "2026-01-02T03:04:05+00:00", "updated_at": "2026-01-02T03:04:05+00:00"},
    }
    entry: dict[Any, Any] = {b"message": msgspec.json.encode(envelope), **TRACE}
    server.client().xadd(stream, entry)
    billing = Service(server.url, stream, "billing", broken=True)
    with Admin(server.url, stream) as admin, running(billing):
        (letter,) = letters(admin, 1)
        billing.broken = False
        assert admin.replay([letter.id]).ok
        billing.handler.wait_for(2)

        first, second = billing.extras
        assert first == tuple(part for field in TRACE.items() for part in field)
        assert second == first


def test_a_message_that_fails_again_keeps_its_attempts_and_counts_its_replays(
    server: Server, stream: str
) -> None:
    billing = Service(server.url, stream, "billing", broken=True)
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin, running(billing):
        message = publisher.publish(EVENT, {"n": 1})
        for replays in range(3):
            billing.handler.wait_for(replays + 1)
            (letter,) = letters(admin, 1)
            assert (letter.message_id, letter.replays, len(letter.attempts)) == (
                message.id,
                replays,
                replays + 1,
            )
            assert letter.data == {"n": 1}
            assert admin.replay([letter.id]).ok
        (letter,) = letters(admin, 1)

    original = letter.fields[1]
    assert message.timestamps.created_at.encode() in original, "when it was published is not forgotten"


def test_a_replay_of_all_does_not_run_after_the_letters_that_it_causes(server: Server, stream: str) -> None:
    billing = Service(server.url, stream, "billing", broken=True)
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin, running(billing):
        publisher.publish_many((EVENT, {"n": n}) for n in range(60))  # more than one page
        before = {letter.id for letter in letters(admin, 60)}
        # Each fails again while the replay goes on: it waits for that.
        report = admin.replay(
            DeadLetterFilter(),
            progress=lambda done: eventually(lambda: admin_count(server, stream) == 60),
        )

        assert {done.id for done in report.replayed} == before
        assert len(report.replayed) == 60
        assert [letter.replays for letter in letters(admin, 60)] == [1] * 60


def admin_count(server: Server, stream: str) -> int:
    with Admin(server.url, stream) as admin:
        return admin.count_dead_letters()


# --- 0.1.0 --------------------------------------------------------------------------------------


def test_what_0_1_0_dead_lettered_is_replayed_to_the_group_that_is_said(server: Server, stream: str) -> None:
    billing = Service(server.url, stream, "billing")
    with Admin(server.url, stream) as admin, running(billing):
        letter_id = letter_of_0_1_0(server.client(), stream, "1775037600000-0", {"n": 1})

        (refusal,) = admin.replay([letter_id]).refused
        assert "names no group" in refusal.why
        assert admin.count_dead_letters() == 1

        assert admin.replay([letter_id], group="billing").ok
        (call,) = billing.handler.wait_for(1)
        assert call.data == {"n": 1}
        assert call.message.id == "22222222-2222-4222-8222-222222222222"
        assert call.message.retries == 0
        # All that 0.1.0 left of when it was published is the id of an entry that held it.
        assert call.message.timestamps.created_at == "2026-04-01T10:00:00+00:00"


def test_all_of_0_1_0_are_replayed_without_those_of_other_groups(server: Server, stream: str) -> None:
    billing = Service(server.url, stream, "billing", broken=True)
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin, running(billing):
        publisher.publish(EVENT, {"n": 1})
        (ours,) = letters(admin, 1)
        theirs = letter_of_0_1_0(server.client(), stream, "1775037600000-0", {"n": 2})
        billing.broken = False

        report = admin.replay(DeadLetterFilter(group=""), group="billing")

        assert [done.id for done in report.replayed] == [theirs]
        billing.handler.wait_until(lambda calls: bool(calls) and calls[-1].data == {"n": 2})
        assert [letter.id for letter in letters(admin, 1)] == [ours.id]


# --- what cannot be replayed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({b"message": b"{"}, "no dead letter"),
        ({b"other": b"field"}, "no dead letter"),
        ({b"message": b"\xff\xfe"}, "no dead letter"),
    ],
)
def test_what_is_no_dead_letter_is_refused_and_stays(
    any_server: Server, stream: str, fields: dict[Any, Any], why: str
) -> None:
    any_server.client().xadd(f"{stream}:failed", fields)
    with Admin(any_server.url, stream) as admin:
        report = admin.replay(DeadLetterFilter())

        assert not report.ok
        (refusal,) = report.refused
        assert why in refusal.why
        assert admin.count_dead_letters() == 1


@pytest.mark.parametrize("entry", [{b"message": b"{not json"}, {b"something": b"else"}])
def test_an_undecodable_message_is_refused_and_stays(
    server: Server, stream: str, entry: dict[Any, Any]
) -> None:
    billing = Service(server.url, stream, "billing")
    with Admin(server.url, stream) as admin, running(billing):
        server.client().xadd(stream, entry)
        (letter,) = letters(admin, 1)
        assert letter.reason == "malformed"
        assert letter.data is None

        (refusal,) = admin.replay([letter.id]).refused

        assert "cannot be decoded" in refusal.why or "holds no message" in refusal.why
        assert [left.id for left in letters(admin, 1)] == [letter.id]


def test_a_trimmed_message_is_refused_for_there_is_nothing_left_of_it(server: Server, stream: str) -> None:
    client = server.client()
    client.xgroup_create(stream, "billing", id="0", mkstream=True)
    lost: Any = client.xadd(stream, {"message": "whatever"})
    client.xreadgroup("billing", "dead", {stream: ">"})
    client.xdel(stream, lost)
    billing = Service(server.url, stream, "billing", claim_idle_ms=200)
    with Admin(server.url, stream) as admin, running(billing):
        (letter,) = letters(admin, 1)

        assert letter.reason == "trimmed"
        assert "trimmed away" in admin.replay([letter.id]).refused[0].why


def test_a_letter_is_never_replayed_to_another_group(any_server: Server, stream: str) -> None:
    billing = Service(any_server.url, stream, "billing", broken=True)
    mailer = Service(any_server.url, stream, "mailer")
    with Publisher(any_server.url, stream) as publisher, Admin(any_server.url, stream) as admin:
        publisher.publish(EVENT, {"n": 1})
        with running(billing, mailer):
            (letter,) = letters(admin, 1)

            assert "never replayed to another" in admin.replay([letter.id], group="mailer").refused[0].why
            assert admin.count_dead_letters() == 1


def test_a_group_that_is_not_there_is_refused_and_named_with_those_that_are(
    any_server: Server, stream: str
) -> None:
    billing = Service(any_server.url, stream, "billing")
    with Admin(any_server.url, stream) as admin, running(billing):
        letter_id = letter_of_0_1_0(any_server.client(), stream, "1-0", {})

        assert admin.replay([letter_id], group="biling").refused == [
            Refused(letter_id, f"stream '{stream}' has no group 'biling' (its groups: 'billing')")
        ]


def test_an_event_that_nobody_handles_is_replayed_only_on_demand(server: Server, stream: str) -> None:
    client = server.client()
    client.xgroup_create(stream, "billing", id="0", mkstream=True)  # as a consumer of 0.1.0 would
    letter_id = letter_of_0_1_0(client, stream, "1-0", {"n": 1})
    with Admin(server.url, stream) as admin:
        (refusal,) = admin.replay([letter_id], group="billing").refused
        assert "no member of group 'billing' handles 'order.placed'" in refusal.why
        assert admin.count_dead_letters() == 1

        assert admin.replay([letter_id], group="billing", unhandled=True).ok

        billing = Service(server.url, stream, "billing")
        with running(billing):
            billing.handler.wait_for(1)


def test_an_editor_that_gives_nonsense_leaves_the_letter(
    server: Server, stream: str, old_letters: list[str]
) -> None:
    server.client().xgroup_create(stream, "billing", id="0", mkstream=True)
    with Admin(server.url, stream) as admin:
        for payload in ([1], {"n": float("nan")}, {1: 2}):
            report = admin.replay(
                old_letters[:1],
                group="billing",
                unhandled=True,
                edit=lambda _, payload=payload: payload,  # type: ignore[misc]
            )
            assert [refusal.id for refusal in report.refused] == old_letters[:1]
            assert "cannot be published" in report.refused[0].why
        assert admin.count_dead_letters() == 121
