"""The fence: what a member may still do with an entry that it does not hold any more."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker, Standing
from streamix_queue.core import commands
from tests.broker.backends import Backend
from tests.broker.commands import (
    DONE,
    DROPPED,
    EVENT,
    FENCED,
    FIELDS,
    GONE,
    STOLEN,
    Fenced,
    ack,
    dead_letter,
    hand_back,
    one,
    or_absent,
    retry_later,
    stale,
    written,
)

THIEVES = ["thief", "me"]
"""Another member; and our own name, used by another process or by our own reclaimer."""


# --- another delivery has taken over ------------------------------------------------------------


@pytest.mark.parametrize("thief", THIEVES)
@pytest.mark.parametrize("lease", [or_absent, stale])
@pytest.mark.parametrize("command", FENCED)
def test_a_stolen_entry_cannot_be_written_elsewhere(
    backend: Backend, me: ConsumerBroker, command: Fenced, lease: type, thief: str
) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id, thief)

    assert one(me, command(lease(backend.keys.stream, entry_id))) == STOLEN

    assert written(backend) == []
    assert backend.owner(entry_id) == (thief.encode(), 2)


@pytest.mark.parametrize("thief", THIEVES)
def test_a_stolen_entry_is_not_dropped_for_want_of_a_handler(
    backend: Backend, me: ConsumerBroker, thief: str
) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id, thief)

    assert one(me, commands.HandOver(or_absent(backend.keys.stream, entry_id), EVENT, FIELDS)) == STOLEN
    assert backend.owner(entry_id) == (thief.encode(), 2)


@pytest.mark.parametrize("thief", THIEVES)
def test_a_stolen_entry_cannot_be_handed_back(backend: Backend, me: ConsumerBroker, thief: str) -> None:
    mine, stolen = backend.leased(me, 2)
    backend.steal(stolen, thief)

    assert one(
        me, hand_back(or_absent(backend.keys.stream, mine), or_absent(backend.keys.stream, stolen))
    ) == [
        DONE,
        STOLEN,
    ]
    assert backend.owner(mine) == (b"me", 0)
    assert backend.owner(stolen) == (thief.encode(), 2)


@pytest.mark.parametrize("thief", THIEVES)
def test_renewing_a_stolen_entry_does_not_steal_it_back(
    backend: Backend, me: ConsumerBroker, thief: str
) -> None:
    mine, stolen = backend.leased(me, 2)
    backend.steal(stolen, thief)
    backend.make_idle(backend.keys.stream, stolen, 50_000)

    assert me.renew(backend.keys.stream, [(mine, 1), (stolen, 1)]) == [Standing.OURS, Standing.STOLEN]

    assert backend.owner(stolen) == (thief.encode(), 2)
    idle = {p.entry_id: p.idle_ms for p in backend.pending(backend.keys.stream)}
    assert idle[stolen] >= 50_000, "a renewal by us must not keep it alive for the thief"


@pytest.mark.parametrize("thief", THIEVES)
def test_a_stolen_entry_is_not_taken(backend: Backend, me: ConsumerBroker, thief: str) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id, thief)

    assert me.take(backend.keys.stream, [(entry_id, 1)]) == []
    assert backend.owner(entry_id) == (thief.encode(), 2)


@pytest.mark.parametrize("thief", THIEVES)
def test_a_stolen_entry_is_no_suspect_of_ours(backend: Backend, me: ConsumerBroker, thief: str) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id, thief)

    assert me.suspect(or_absent(backend.keys.stream, entry_id)) == 0
    assert backend.mapping(backend.keys.suspects) == {}


@pytest.mark.parametrize("command", FENCED)
def test_another_member_with_the_same_count_is_another_member(
    backend: Backend, me: ConsumerBroker, command: Fenced
) -> None:
    (entry_id,) = backend.leased(me, 1)
    lease = or_absent(backend.keys.stream, entry_id)
    me.settle([hand_back(lease)])
    backend.consumer("thief").reclaim(backend.keys.stream, 60_000, b"0-0", 10)
    assert backend.owner(entry_id) == (b"thief", 1)

    assert one(me, command(lease)) == STOLEN
    assert one(me, hand_back(lease)) == [STOLEN]
    assert me.renew(backend.keys.stream, [(entry_id, 1)]) == [Standing.STOLEN]
    assert me.take(backend.keys.stream, [(entry_id, 1)]) == []
    assert me.suspect(lease) == 0

    assert written(backend) == []
    assert backend.owner(entry_id) == (b"thief", 1)


def test_the_thief_settles_what_it_stole(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id)
    thief = backend.consumer("thief")

    assert one(thief, dead_letter(or_absent(backend.keys.stream, entry_id))) == STOLEN, (
        "that was not its count"
    )
    assert one(thief, dead_letter(or_absent(backend.keys.stream, entry_id, 2))) == DONE
    assert backend.owner(entry_id) is None


def test_a_fence_refuses_one_command_of_a_batch(backend: Backend, me: ConsumerBroker) -> None:
    first, stolen, last = backend.leased(me, 3)
    backend.steal(stolen)

    leases = [or_absent(backend.keys.stream, i) for i in (first, stolen, last)]

    assert me.settle([dead_letter(lease) for lease in leases]) == [DONE, STOLEN, DONE]
    assert len(backend.entries(backend.keys.failed)) == 2


# --- pending for nobody -------------------------------------------------------------------------


@pytest.mark.parametrize("command", FENCED)
def test_what_was_settled_before_is_gone_for_a_stale_lease(
    backend: Backend, me: ConsumerBroker, command: Fenced
) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.settle([commands.Ack(backend.keys.stream, [entry_id])])

    assert one(me, command(stale(backend.keys.stream, entry_id))) == GONE
    assert written(backend) == []


def test_a_stale_lease_is_not_dropped_for_want_of_a_handler(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.settle([ack(or_absent(backend.keys.stream, entry_id))])

    assert one(me, commands.HandOver(stale(backend.keys.stream, entry_id), EVENT, FIELDS)) == GONE


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "consumer removed"])
@pytest.mark.parametrize("command", FENCED)
def test_the_only_copy_is_written_elsewhere_when_its_entry_is_pending_for_nobody(
    backend: Backend, me: ConsumerBroker, command: Fenced, how: str
) -> None:
    (entry_id,) = backend.leased(me, 1)
    _orphan(backend, how)

    assert one(me, command(or_absent(backend.keys.stream, entry_id))) == DONE
    assert len(written(backend)) == 1


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "consumer removed"])
@pytest.mark.parametrize("command", FENCED)
def test_an_orphan_is_gone_for_a_stale_lease(
    backend: Backend, me: ConsumerBroker, command: Fenced, how: str
) -> None:
    (entry_id,) = backend.leased(me, 1)
    _orphan(backend, how)

    assert one(me, command(stale(backend.keys.stream, entry_id))) == GONE
    assert written(backend) == []


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "consumer removed"])
def test_an_orphan_of_an_event_that_nobody_handles_is_dropped(
    backend: Backend, me: ConsumerBroker, how: str
) -> None:
    (entry_id,) = backend.leased(me, 1)
    _orphan(backend, how)

    assert one(me, commands.HandOver(or_absent(backend.keys.stream, entry_id), EVENT, FIELDS)) == DROPPED


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "consumer removed"])
def test_a_renewal_tells_an_orphan_from_a_stolen_entry(
    backend: Backend, me: ConsumerBroker, how: str
) -> None:
    ids = backend.leased(me, 2)
    _orphan(backend, how)

    assert me.renew(backend.keys.stream, [(i, 1) for i in ids]) == [Standing.ORPHAN] * 2


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "consumer removed"])
def test_an_orphan_cannot_be_handed_back_nor_taken(backend: Backend, me: ConsumerBroker, how: str) -> None:
    (entry_id,) = backend.leased(me, 1)
    lease = or_absent(backend.keys.stream, entry_id)
    _orphan(backend, how)

    assert one(me, hand_back(lease)) == [GONE]
    assert me.take(backend.keys.stream, [(entry_id, 1)]) == []


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "consumer removed"])
def test_the_start_of_a_suspect_counts_while_we_hold_its_only_copy(
    backend: Backend, me: ConsumerBroker, how: str
) -> None:
    (entry_id,) = backend.leased(me, 1)
    _orphan(backend, how)

    assert me.suspect(or_absent(backend.keys.stream, entry_id)) == 1
    assert me.suspect(stale(backend.keys.stream, entry_id)) == 0


def test_an_orphan_of_an_inbox_is_deleted_with_its_settlement(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox("another.event")
    (entry_id,) = backend.leased(me, 1, inbox)
    backend.destroy_group(inbox)

    assert one(me, retry_later(or_absent(inbox, entry_id))) == DONE

    assert backend.entries(inbox) == [], "or the group that is made next would deliver it again"


def _orphan(backend: Backend, how: str) -> None:
    key = backend.keys.stream
    if how == "group destroyed":
        backend.destroy_group(key)
    elif how == "stream deleted":
        backend.delete(key)
    else:
        backend.remove_consumer(key, b"me")
