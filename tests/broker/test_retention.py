"""Trimming: all that no group needs goes, and nothing that one does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.errors import WrongKeyType
from streamix_queue.core.retention import Trimming
from tests.broker.back_doors import ack_alone, add_at, set_group_id, trimming_entry_by_entry
from tests.broker.backends import Backend, RedisBackend
from tests.broker.trimming import DAY_MS, HOUR_MS, fill, left, take, trim


@pytest.fixture(autouse=True)
def _entry_by_entry(request: pytest.FixtureRequest) -> Iterator[None]:
    if "backend" not in request.fixturenames:
        yield
        return
    with trimming_entry_by_entry(request.getfixturevalue("backend")):
        yield


# --- the floor ----------------------------------------------------------------------------------


def test_a_stream_without_a_group_is_never_trimmed(backend: Backend) -> None:
    ids = fill(backend, 5, age_ms=DAY_MS)

    assert trim(backend).floor == ""
    assert left(backend) == ids


def test_a_missing_stream_is_nothing_to_trim(backend: Backend) -> None:
    assert trim(backend) == Trimming()


def test_the_slowest_group_decides(backend: Backend) -> None:
    ids = fill(backend, 9)
    take(backend, "quick", 9, ack=9)
    take(backend, "slow", 4, ack=4)

    answer = trim(backend)

    assert left(backend) == ids[3:], "the last one that it was given stays, too"
    assert (answer.removed, answer.length, answer.floor.encode()) == (3, 6, ids[3])


def test_what_a_group_has_pending_stays_with_all_behind_it(backend: Backend) -> None:
    ids = fill(backend, 9)
    take(backend, "quick", 9, ack=9)
    take(backend, "other", 9, ack=2)

    trim(backend)

    assert left(backend) == ids[2:]


def test_a_group_that_has_never_read_needs_everything(backend: Backend) -> None:
    ids = fill(backend, 5)
    take(backend, "quick", 5, ack=5)
    take(backend, "new", 0)

    assert trim(backend).removed == 0
    assert left(backend) == ids


def test_the_floor_rises_as_groups_move_on(backend: Backend) -> None:
    ids = fill(backend, 6)
    slow = take(backend, "slow", 3, ack=1)
    take(backend, "quick", 6, ack=6)
    floors = [trim(backend).floor.encode()]

    slow.settle([commands.Ack(backend.keys.stream, ids[1:3])])
    floors.append(trim(backend).floor.encode())
    backend.read(slow, 3)
    floors.append(trim(backend).floor.encode())
    slow.settle([commands.Ack(backend.keys.stream, ids[3:])])
    floors.append(trim(backend).floor.encode())

    assert floors == [ids[1], ids[2], ids[3], ids[5]]
    assert left(backend) == ids[5:]


def test_a_group_moved_back_by_an_operator_gets_what_is_there(backend: Backend) -> None:
    ids = fill(backend, 6)
    member = take(backend, "g", 6, ack=3)
    set_group_id(backend, backend.keys.stream, ids[1])

    trim(backend)

    assert left(backend) == ids[1:]
    assert [i for i, _ in backend.read(member)] == ids[2:]


@pytest.mark.parametrize(
    ("given", "more"),
    [
        (b"7-9007199254740992", b"7-9007199254740993"),  # equal as numbers of 53 bits
        (b"7-9", b"7-10"),  # the other way round as text
        (b"9-18446744073709551614", b"10-0"),
        (b"7-18446744073709551613", b"7-18446744073709551614"),
    ],
)
@pytest.mark.parametrize("slow", ["a", "z"])
def test_ids_are_compared_in_all_their_64_bits(
    backend: Backend, given: bytes, more: bytes, slow: str
) -> None:
    for entry_id in (b"1-1", given, more):
        add_at(backend, backend.keys.stream, entry_id)
    take(backend, slow, 2, ack=2)
    take(backend, "quick", 3, ack=3)

    trim(backend)

    assert left(backend) == [given, more]


# --- keep -----------------------------------------------------------------------------------------


def test_what_is_younger_than_keep_stays_though_everybody_is_done(backend: Backend) -> None:
    old, young = fill(backend, 3, age_ms=2 * HOUR_MS), fill(backend, 3, age_ms=HOUR_MS // 2)
    take(backend, "g", 6, ack=6)

    assert trim(backend, keep_ms=HOUR_MS).removed == len(old)
    assert left(backend) == young


def test_the_longest_wish_of_a_group_counts(backend: Backend) -> None:
    fill(backend, 3, age_ms=3 * HOUR_MS)
    kept = fill(backend, 3, age_ms=HOUR_MS)
    take(backend, "g", 6, ack=6)
    take(backend, "archive", 6, ack=6).take_duty(2 * HOUR_MS, 1000)

    trim(backend, keep_ms=0)

    assert left(backend) == kept


def test_one_group_that_wants_everything_kept_is_enough(backend: Backend) -> None:
    ids = fill(backend, 3, age_ms=DAY_MS)
    take(backend, "g", 3, ack=3)
    archive = take(backend, "archive", 3, ack=3)
    archive.take_duty(None, 1000)

    assert trim(backend, keep_ms=0) == Trimming(0, "", 3)
    assert left(backend) == ids

    archive.take_duty(0, 1000)

    assert trim(backend, keep_ms=0).removed == 2


def test_the_wish_of_a_group_that_is_gone_is_forgotten(backend: Backend) -> None:
    fill(backend, 3, age_ms=DAY_MS)
    take(backend, "quick", 3, ack=3)
    take(backend, "g", 0).take_duty(None, 1000)
    backend.destroy_group(backend.keys.stream)

    assert trim(backend, keep_ms=0).removed == 2
    assert backend.mapping(backend.keys.keeps) == {}


def test_a_member_that_wants_everything_kept_trims_nothing(backend: Backend) -> None:
    ids = fill(backend, 3, age_ms=DAY_MS)
    take(backend, "g", 3, ack=3)

    assert trim(backend, keep_ms=None).floor == ""
    assert left(backend) == ids


# --- step by step -------------------------------------------------------------------------------


def test_a_step_removes_no_more_than_its_limit(backend: Backend) -> None:
    ids = fill(backend, 50)
    take(backend, "g", 50, ack=50)

    removed = [trim(backend, limit=20).removed for _ in range(4)]

    assert removed == [20, 20, 9, 0]
    assert left(backend) == ids[49:]


def test_limit_0_only_looks(backend: Backend) -> None:
    ids = fill(backend, 5)
    take(backend, "g", 5, ack=4)

    answer = trim(backend, limit=0)

    assert (answer.removed, answer.length, answer.floor.encode()) == (0, 5, ids[4])
    assert left(backend) == ids


def test_nodes_larger_than_the_limit_are_trimmed_all_the_same(redis_backend: RedisBackend) -> None:
    client, key = redis_backend.client, redis_backend.keys.stream
    before = {
        name: client.config_get(name)[name] for name in ("stream-node-max-entries", "stream-node-max-bytes")
    }
    client.config_set("stream-node-max-entries", 700)
    client.config_set("stream-node-max-bytes", 0)
    try:
        fill(redis_backend, 2100)
        take(redis_backend, "g", 2100, ack=2100)

        removed = [trim(redis_backend, limit=100).removed for _ in range(4)]
    finally:
        for name, value in before.items():
            client.config_set(name, value)

    assert (sum(removed), removed[-1]) == (1400, 0)
    assert client.xlen(key) == 700


def test_a_key_of_another_type_is_told(backend: Backend) -> None:
    backend.make_wrong_type(backend.keys.stream)

    with pytest.raises(WrongKeyType):
        trim(backend)


def test_wishes_that_cannot_be_read_are_no_obstacle(backend: Backend) -> None:
    fill(backend, 3)
    take(backend, "g", 3, ack=3).take_duty(0, 1000)
    backend.make_wrong_type(backend.keys.keeps)

    assert take(backend, "g", 0).take_duty(0, 1000).stream
    assert trim(backend).removed == 2


def test_a_full_server_can_be_trimmed(backend: Backend) -> None:
    fill(backend, 5)
    member = take(backend, "g", 5, ack=5)
    backend.fill(True)
    try:
        duty = member.take_duty(0, 1000)
        answer = trim(backend)
    finally:
        backend.fill(False)

    assert (duty.stream, duty.group, answer.removed) == (True, True, 4)


# --- who holds back the rest ---------------------------------------------------------------------


def test_a_group_that_does_not_read_is_named(backend: Backend) -> None:
    ids = fill(backend, 4, age_ms=3 * HOUR_MS)
    take(backend, "quick", 4, ack=4)
    take(backend, "gone", 1, ack=1)

    (pin,) = trim(backend).pins

    assert (pin.group, pin.entry_id.encode(), pin.pending) == ("gone", ids[1], 0)
    assert 3 * HOUR_MS / 1000 <= pin.age_s < 3 * HOUR_MS / 1000 + 60


def test_a_group_that_does_not_settle_is_named(backend: Backend) -> None:
    ids = fill(backend, 4, age_ms=3 * HOUR_MS)
    take(backend, "stuck", 4, ack=1)

    (pin,) = trim(backend).pins

    assert (pin.group, pin.entry_id.encode(), pin.pending) == ("stuck", ids[1], 3)


def test_a_group_that_is_done_pins_nothing_however_old_its_last_entry(backend: Backend) -> None:
    fill(backend, 4, age_ms=30 * DAY_MS)
    take(backend, "idle", 4, ack=4)

    assert trim(backend).pins == ()


def test_a_group_is_not_late_before_keep_is_over(backend: Backend) -> None:
    fill(backend, 4, age_ms=3 * HOUR_MS)
    take(backend, "slow", 0)

    assert trim(backend, keep_ms=DAY_MS).pins == ()
    assert len(trim(backend, keep_ms=2 * HOUR_MS).pins) == 1


def test_of_many_late_groups_the_latest_are_named_and_all_are_counted(backend: Backend) -> None:
    ids = fill(backend, 30, age_ms=3 * HOUR_MS)
    for number in range(20):
        take(backend, f"g{number}", number + 1, ack=number + 1)

    answer = trim(backend)

    assert answer.pinning == 20
    assert [pin.group for pin in answer.pins] == [f"g{number}" for number in range(16)]
    assert [pin.entry_id.encode() for pin in answer.pins] == ids[1:17]


# --- inboxes ------------------------------------------------------------------------------------


def inbox(backend: Backend, count: int, *, ack: set[int]) -> tuple[bytes, list[bytes], ConsumerBroker]:
    """An inbox whose entries were read; of those in ``ack`` the delete that goes with it got lost."""
    key = backend.keys.inbox("a")
    member = backend.consumer()
    member.ensure_group(key, "0")
    ids = fill(backend, count, key=key)
    backend.read(member, count, key)
    if ack:
        ack_alone(backend, key, *(ids[number] for number in sorted(ack)))
    return key, ids, member


def test_what_is_left_of_acked_entries_is_cleared_from_an_inbox(backend: Backend) -> None:
    key, ids, member = inbox(backend, 5, ack={0, 1, 3})

    removed = [member.trim(key, 0, 100, HOUR_MS).removed for _ in range(3)]

    assert sum(removed) == 2
    assert left(backend, key) == ids[2:]
    assert [p.entry_id for p in backend.pending(key)] == [ids[2], ids[4]]


def test_a_pending_entry_that_is_the_last_of_an_inbox_stays(backend: Backend) -> None:
    key, ids, member = inbox(backend, 3, ack={0, 1})

    for _ in range(3):
        member.trim(key, 0, 100, HOUR_MS)

    assert left(backend, key) == ids[2:]


def test_the_last_acked_entry_of_an_inbox_goes_as_well(backend: Backend) -> None:
    key, _, member = inbox(backend, 5, ack={0, 1, 2, 3, 4})

    for _ in range(3):
        member.trim(key, 0, 100, HOUR_MS)

    assert left(backend, key) == []


def test_an_inbox_that_waits_for_its_first_reader_loses_nothing(backend: Backend) -> None:
    key = backend.keys.inbox("a")
    member = backend.consumer()
    ids = fill(backend, 3, key=key)
    assert member.trim(key, 0, 100, HOUR_MS).removed == 0

    member.ensure_group(key, "0")
    assert member.trim(key, 0, 100, HOUR_MS).removed == 0

    assert left(backend, key) == ids
