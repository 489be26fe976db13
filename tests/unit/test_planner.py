"""The planner: from the outcome of a delivery to the command that carries it out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamix_queue.actors.planner import Planned, Planner
from streamix_queue.core import commands
from streamix_queue.core.attempt import Attempt, Failure
from streamix_queue.core.commands import Command, Fence
from streamix_queue.core.dead_letter import Origin, read_letter
from streamix_queue.core.entry import entry_of
from streamix_queue.core.keys import Keys
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.outcome import (
    ACK,
    HAND_BACK,
    HAND_OVER,
    PARK,
    DeadLetter,
    Outcome,
    Reason,
    RetryLater,
)
from streamix_queue.core.wire import (
    MESSAGE,
    FailedAttempt,
    History,
    envelope_of,
    for_retry,
    history_of,
    with_history,
)
from tests.support.json_values import envelope_of_0_1_0, message_with

KEYS = Keys("app.events", "service-a")
INBOX = KEYS.inbox("user.created")
LEASE_S = 60.0
MONOTONIC = 1000.0
NOW = "2026-04-24T18:00:00+00:00"
RAW = envelope_of_0_1_0(message_with({"user_id": "123"}, retries=1))
TRACE = (b"traceparent", b"00-1-2-01")
ENDINGS: list[Outcome] = [RetryLater(2000), DeadLetter(Reason.REJECTED), HAND_OVER, PARK]

TERMS = Terms(LEASE_S, threading.Lock())
PLANNER = Planner(KEYS, Origin("app.events", "service-a", "me"), LEASE_S)

_ids = itertools.count(1)


def delivery(
    outcome: Outcome,
    *,
    key: bytes = KEYS.stream,
    fields: list[bytes] | None = None,
    deliveries: int = 1,
    lost: bool = False,
    orphan: bool = False,
    proved_at: float = MONOTONIC - 1,
    **more: Any,
) -> Attempt:
    given = fields or [MESSAGE, RAW, *TRACE]
    entry = entry_of(key, b"%d-0" % next(_ids), tuple(given), deliveries, "new", 0.0)
    attempt = Attempt(entry, Lease(entry, TERMS, deliveries, proved_at, lost, orphan))
    attempt.open({})
    attempt.started_at, attempt.finished_at = 5.0, 5.25
    attempt.failure = Failure("LookupError", "no such user", "Traceback ...")
    attempt.close(outcome)
    for name, value in more.items():
        setattr(attempt, name, value)
    return attempt


def plan(*deliveries: Attempt) -> tuple[list[Planned], list[Attempt]]:
    letters = itertools.count(1)
    return PLANNER.plan(deliveries, now=NOW, new_id=lambda: f"letter-{next(letters)}")


def only(*deliveries: Attempt) -> Command:
    batches, forgotten = plan(*deliveries)
    assert forgotten == []
    (batch,) = batches
    assert list(batch.attempts) == list(deliveries)
    return batch.command


def fence_of(held: Attempt, *, or_absent: bool = False) -> Fence:
    return Fence(held.entry.key, held.entry.id, held.lease.token, or_absent)


# --- acks ---------------------------------------------------------------------------------------------


def test_handled_entries_are_acked_together_for_each_stream() -> None:
    shared = [delivery(ACK) for _ in range(3)]
    inbox = [delivery(ACK, key=INBOX) for _ in range(2)]

    batches, forgotten = plan(shared[0], inbox[0], shared[1], inbox[1], shared[2])

    assert forgotten == []
    assert [batch.command for batch in batches] == [
        commands.Ack(KEYS.stream, [held.entry.id for held in shared]),
        commands.Ack(INBOX, [held.entry.id for held in inbox]),
    ]
    assert [list(batch.attempts) for batch in batches] == [shared, inbox]


@pytest.mark.parametrize("outcome", [ACK, HAND_BACK])
def test_no_command_carries_more_than_256_entries(outcome: Outcome) -> None:
    held = [delivery(outcome) for _ in range(600)]

    batches, _ = plan(*held)

    assert [len(batch.attempts) for batch in batches] == [256, 256, 88]
    assert [each for batch in batches for each in batch.attempts] == held


def test_a_success_is_acked_also_when_the_lease_was_lost() -> None:
    held = delivery(ACK, lost=True)

    assert only(held) == commands.Ack(KEYS.stream, [held.entry.id])


def test_a_suspect_that_succeeded_is_no_suspect_any_more() -> None:
    innocent, suspect = delivery(ACK), delivery(ACK, deliveries=2)

    batches, _ = plan(innocent, suspect)

    assert [batch.command for batch in batches] == [
        commands.Ack(KEYS.stream, [innocent.entry.id, suspect.entry.id]),
        commands.Absolve([fence_of(suspect)]),
    ]
    assert list(batches[1].attempts) == [], "the ack settles it"


# --- retries ------------------------------------------------------------------------------------------


def test_a_retry_is_scheduled_with_one_more_on_its_count_and_the_attempt_in_its_history() -> None:
    held = delivery(RetryLater(2000), trace="00-trace-01")

    command = only(held)

    assert isinstance(command, commands.RetryLater)
    assert (command.fence, command.delay_ms, command.event) == (fence_of(held), 2000, "user.created")
    raw, extras, history = envelope_of(command.fields)
    assert raw == for_retry(RAW, 2, NOW)
    assert extras == TRACE
    assert history_of(history) == History(
        source_id=held.entry.id.decode(),
        cause="retry",
        attempts=[FailedAttempt(NOW, 0.25, "LookupError", "no such user", "me")],
        previous="00-trace-01",
    )


def test_a_later_retry_keeps_the_attempts_and_the_source_of_the_earlier_ones() -> None:
    before = History("7-0", "retry", [FailedAttempt("earlier", 1.0, "KeyError")], replays=3)
    held = delivery(RetryLater(0), key=INBOX, fields=with_history(RAW, TRACE, before))

    command = only(held)

    assert isinstance(command, commands.RetryLater)
    after = history_of(envelope_of(command.fields)[2])
    assert (after.source_id, after.replays) == ("7-0", 3)
    assert [attempt.at for attempt in after.attempts] == ["earlier", NOW]


def test_the_text_of_an_attempt_is_bounded() -> None:
    held = delivery(RetryLater(0), failure=Failure("E", "x" * 5000))

    command = only(held)

    assert isinstance(command, commands.RetryLater)
    (attempt,) = history_of(envelope_of(command.fields)[2]).attempts
    assert attempt.error == "x" * 200


# --- dead letters -----------------------------------------------------------------------------------------


def test_a_dead_letter_tells_every_attempt_the_last_one_included() -> None:
    before = History("7-0", "retry", [FailedAttempt("earlier", 1.0, "KeyError")])
    held = delivery(DeadLetter(Reason.RETRIES_EXHAUSTED), key=INBOX, fields=with_history(RAW, TRACE, before))

    command = only(held)

    assert isinstance(command, commands.DeadLetter)
    assert command.fence == fence_of(held)
    letter = read_letter(command.fields)
    assert (letter.id, letter.data.reason, letter.data.source_stream_id) == (
        "letter-1",
        "retries_exhausted",
        "7-0",
    )
    assert [attempt.at for attempt in letter.data.attempts] == ["earlier", NOW]
    assert tuple(command.fields[2:]) == TRACE


def test_what_was_never_started_has_no_attempt_of_its_own() -> None:
    held = delivery(DeadLetter(Reason.CRASH), started_at=0.0)

    command = only(held)

    assert isinstance(command, commands.DeadLetter)
    assert read_letter(command.fields).data.attempts == []


def test_an_entry_that_could_not_be_read_is_buried_raw() -> None:
    fields = [b"other", b"\xff", b"message", b"{not json"]
    held = delivery(DeadLetter(Reason.MALFORMED), fields=fields, started_at=0.0)

    command = only(held)

    assert isinstance(command, commands.DeadLetter)
    assert command.fields[2:] == [b"raw.other", b"\xff", b"raw.message", b"{not json"]


# --- hand-overs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outcome", "kind"), [(HAND_OVER, commands.HandOver), (PARK, commands.Park)])
def test_what_another_should_run_goes_on_as_it_is(outcome: Outcome, kind: type[Command]) -> None:
    held = delivery(outcome)

    command = only(held)

    assert isinstance(command, (commands.HandOver, commands.Park))
    assert type(command) is kind
    assert (command.fence, command.event) == (fence_of(held), "user.created")
    raw, extras, history = envelope_of(command.fields)
    assert (raw, extras) == (RAW, TRACE), "no attempt was made, so nothing is counted"
    assert history_of(history) == History(held.entry.id.decode(), "handover")


def test_a_retry_that_is_passed_on_is_still_a_retry() -> None:
    before = History("7-0", "retry", [FailedAttempt("earlier", 1.0, "KeyError")], previous="00-x-01")
    held = delivery(PARK, key=INBOX, fields=with_history(RAW, (), before))

    command = only(held)

    assert isinstance(command, commands.Park)
    assert history_of(envelope_of(command.fields)[2]) == before


# --- hand-backs -----------------------------------------------------------------------------------------


def test_what_never_started_is_handed_back_for_each_stream_as_idle_as_a_lapsed_lease() -> None:
    shared, inbox = [delivery(HAND_BACK) for _ in range(2)], delivery(HAND_BACK, key=INBOX, deliveries=3)

    batches, _ = plan(shared[0], inbox, shared[1])

    assert [batch.command for batch in batches] == [
        commands.HandBack([fence_of(held) for held in shared], 60_000),
        commands.HandBack([fence_of(inbox)], 60_000),
    ]


def test_a_suspect_that_is_handed_back_keeps_the_starts_that_were_counted() -> None:
    """Else a message that kills its process would be a clean slate after every rolling deploy."""
    suspect = delivery(HAND_BACK, deliveries=2)

    batches, _ = plan(suspect)

    assert [type(batch.command) for batch in batches] == [commands.HandBack]


# --- the fence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [*ENDINGS, HAND_BACK], ids=lambda outcome: outcome.name)
def test_once_another_owns_it_nothing_is_written_but_an_ack(outcome: Outcome) -> None:
    held = delivery(outcome, lost=True)

    assert plan(held) == ([], [held])


@pytest.mark.parametrize("outcome", ENDINGS, ids=lambda outcome: outcome.name)
@pytest.mark.parametrize("orphan", [True, False])
def test_a_command_says_that_we_hold_the_only_copy_if_that_is_known(outcome: Outcome, orphan: bool) -> None:
    held = delivery(outcome, orphan=orphan, deliveries=4)

    command = only(held)

    assert isinstance(command, commands.FENCED)
    assert command.fence == Fence(KEYS.stream, held.entry.id, 4, or_absent=orphan)


@pytest.mark.parametrize("outcome", ENDINGS, ids=lambda outcome: outcome.name)
@pytest.mark.parametrize(("age_s", "runs"), [(0.0, True), (59.9, True), (60.0, False), (1e6, False)])
def test_what_is_pending_for_nobody_is_ours_if_the_lease_ran_when_redis_said_so(
    outcome: Outcome, age_s: float, runs: bool
) -> None:
    held = delivery(outcome, proved_at=MONOTONIC - age_s)
    (batch,), _ = plan(held)

    assert PLANNER.insist(batch, monotonic=MONOTONIC) is runs
    assert isinstance(batch.command, commands.FENCED)
    assert batch.command.fence == fence_of(held, or_absent=runs)
    assert not PLANNER.insist(batch, monotonic=MONOTONIC), "once is enough"


def test_what_was_delivered_to_us_anew_meanwhile_is_not_insisted_on() -> None:
    held = delivery(RetryLater(2000))
    (batch,), _ = plan(held)
    held.lease.take_over(replace(held.entry, deliveries=2), MONOTONIC)

    assert not PLANNER.insist(batch, monotonic=MONOTONIC)


@pytest.mark.parametrize("outcome", ENDINGS, ids=lambda outcome: outcome.name)
def test_what_is_sent_again_is_not_insisted_on_for_it_may_have_been_done(outcome: Outcome) -> None:
    held = delivery(outcome)
    (batch,), _ = plan(held)
    assert PLANNER.insist(batch, monotonic=MONOTONIC)
    first = batch.command

    batch.resend()

    assert batch.sent_before
    assert not PLANNER.insist(batch, monotonic=MONOTONIC)
    assert isinstance(batch.command, commands.FENCED)
    assert batch.command.fence == fence_of(held, or_absent=False)
    assert isinstance(first, commands.FENCED)
    assert first.fence.or_absent, "the command that is in flight is left as it was"
    assert batch.command.fields == first.fields, "also the id of a dead letter: it must not be two"


@pytest.mark.parametrize("outcome", [ACK, HAND_BACK], ids=lambda outcome: outcome.name)
def test_an_ack_and_a_hand_back_are_sent_again_as_they_are(outcome: Outcome) -> None:
    (batch,), _ = plan(delivery(outcome))
    before = batch.command
    flags = [batch.refused, batch.sent_before]

    batch.resend()

    assert [*flags, batch.refused, batch.sent_before] == [False, False, False, True]
    assert batch.command is before


def test_what_cannot_be_settled_comes_back_and_is_no_suspect() -> None:
    held = [delivery(RetryLater(0)), delivery(ACK, key=INBOX, deliveries=2)]

    batches = PLANNER.let_go(held)

    back = [commands.HandBack([fence_of(each)], 0) for each in held]
    assert [batch.command for batch in batches] == [*back, commands.Absolve([fence_of(held[1])])]
    assert PLANNER.let_go(held[:1])[0].command == back[0]
    assert not any(batch.attempts for batch in batches), "they settle nothing"


# --- all together -----------------------------------------------------------------------------------------

_outcomes = st.sampled_from([ACK, HAND_BACK, *ENDINGS])
_held = st.builds(
    lambda outcome, key, lost, deliveries: delivery(outcome, key=key, lost=lost, deliveries=deliveries),
    _outcomes,
    st.sampled_from([KEYS.stream, INBOX]),
    st.booleans(),
    st.integers(1, 2),
)


def named(batch: Planned) -> Sequence[bytes]:
    command = batch.command
    if isinstance(command, commands.Ack):
        return command.entry_ids
    if isinstance(command, (commands.HandBack, commands.Absolve)):
        return [lease.entry_id for lease in command.fences]
    return [command.fence.entry_id]


@given(st.lists(_held, max_size=30))
def test_every_delivery_is_settled_once_or_forgotten(held: list[Attempt]) -> None:
    batches, forgotten = plan(*held)

    settled = [each for batch in batches for each in batch.attempts]
    assert sorted(map(id, [*settled, *forgotten])) == sorted(map(id, held))
    assert all(each.lease.lost and each.outcome is not ACK for each in forgotten)
    for batch in batches:
        if not isinstance(batch.command, commands.Absolve):
            assert list(named(batch)) == [each.entry.id for each in batch.attempts]
    absolved = [
        entry_id
        for batch in batches
        if isinstance(batch.command, commands.Absolve)
        for entry_id in named(batch)
    ]
    assert absolved == [each.entry.id for each in held if each.entry.suspect and each.outcome is ACK]
