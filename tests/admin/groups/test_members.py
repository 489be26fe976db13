"""The members of a group, each with what it holds of stream and inboxes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamix_queue.admin import Inspector, Member
from streamix_queue.admin.groups.members import added
from streamix_queue.broker.redis.groups import GroupMember
from streamix_queue.core.keys import Keys


def test_what_a_member_holds_is_added_up_over_its_streams(inspector: Inspector, filled: Keys) -> None:
    w1, w2 = inspector.consumers("billing")

    assert (w1.name, w1.pending, w1.inbox_pending) == ("w1", 3, 2)
    assert (w2.name, w2.pending, w2.inbox_pending) == ("w2", 2, 0)
    assert w1.idle_s is not None
    assert w1.idle_s < 60


def test_a_group_that_is_not_there_has_no_members(inspector: Inspector, filled: Keys) -> None:
    assert inspector.consumers("other") == []


@pytest.mark.parametrize(
    ("idle_ms", "inactive_ms", "idle_s", "inactive_s"),
    [(500, None, 0.5, 2.0), (5000, 500, 1.0, 0.5), (-1, -1, 1.0, 2.0)],
    ids=["a server that does not tell", "shorter", "never"],
)
def test_the_shortest_time_of_all_streams_counts(
    idle_ms: int, inactive_ms: int | None, idle_s: float, inactive_s: float
) -> None:
    known = Member("w1", pending=3, inbox_pending=0, idle_s=1.0, inactive_s=2.0)

    seen = added(known, GroupMember(b"w1", 2, idle_ms, inactive_ms), on_inbox=True)

    assert seen == replace(known, inbox_pending=2, idle_s=idle_s, inactive_s=inactive_s)
