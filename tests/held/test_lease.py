"""A lease: the one place that knows whether our hold on an entry is good."""

from __future__ import annotations

import threading

import pytest

from streamix_queue.core.commands import Fence
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.outcome import ACK, HAND_BACK
from tests.held.hall import delivery, entry

LASTS_S = 60.0
AT = 1000.0


@pytest.fixture
def lease() -> Lease:
    return Lease(entry(7, deliveries=2), Terms(LASTS_S, threading.Lock()), 2, AT)


def test_it_is_good_for_as_long_as_it_lasts(lease: Lease) -> None:
    assert lease.good(AT)
    assert lease.good(AT + LASTS_S)
    assert not lease.good(AT + LASTS_S + 0.001)


def test_it_is_young_in_its_first_half(lease: Lease) -> None:
    assert lease.young(AT + LASTS_S / 2 - 0.001)
    assert not lease.young(AT + LASTS_S / 2)


def test_what_another_owns_is_not_good_however_young_it_is(lease: Lease) -> None:
    assert lease.lose()
    assert not lease.good(AT)
    assert not lease.lose(), "it is no news any more"


def test_a_renewal_counts_from_when_redis_was_asked(lease: Lease) -> None:
    assert lease.renew(2, AT + 20)
    assert lease.good(AT + 20 + LASTS_S)
    assert lease.lapsed(AT + 20 + LASTS_S)
    assert not lease.lapsed(AT + 19 + LASTS_S)


def test_an_orphan_is_adopted_once_and_its_fence_says_so(lease: Lease) -> None:
    assert lease.fence() == Fence(b"s", b"7-0", 2, or_absent=False)

    assert lease.adopt(2, AT + 30)
    assert not lease.adopt(2, AT + 40), "it is no news any more"

    assert lease.fence() == Fence(b"s", b"7-0", 2, or_absent=True)
    assert lease.good(AT + 40 + LASTS_S), "as good as a renewal"


def test_what_redis_said_of_an_earlier_hold_changes_nothing(lease: Lease) -> None:
    """Fails when an answer is believed though the entry was delivered to us once more meanwhile."""
    lease.take_over(entry(7, deliveries=3), AT + 90)

    assert not lease.renew(2, AT + 1)
    assert not lease.adopt(2, AT + 1)
    assert not lease.lose(2)

    assert (lease.token, lease.proved_at, lease.lost, lease.orphan) == (3, AT + 90, False, False)


def test_what_was_lost_and_comes_again_is_ours_again(lease: Lease) -> None:
    lease.lose()

    lease.take_over(entry(7, deliveries=3), AT + 90)

    assert lease.good(AT + 100)
    assert lease.fence() == Fence(b"s", b"7-0", 3, or_absent=False)


def test_a_delivery_is_closed_once_whoever_comes_second() -> None:
    one = delivery("e")

    assert one.close(HAND_BACK)
    assert not one.close(ACK)
    assert one.outcome is HAND_BACK
