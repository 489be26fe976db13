"""How far the groups of a stream have come, and what is left for them."""

from __future__ import annotations

from streamix_queue.admin import Inspector
from streamix_queue.core.keys import Keys
from tests.support.servers import Server


def test_groups_are_told_by_name_with_what_they_hold_and_what_is_left(
    inspector: Inspector, filled: Keys
) -> None:
    billing, mailer = inspector.groups()

    assert (billing.name, billing.consumers, billing.pending) == ("billing", 2, 5)
    assert (billing.lag, billing.lag_exact, billing.last_delivered_id) == (5, True, "5-0")
    assert (mailer.name, mailer.consumers, mailer.pending, mailer.lag) == ("mailer", 0, 0, 10)
    assert inspector.group_names() == ["billing", "mailer"]


def test_a_lag_that_redis_lost_is_counted_and_no_further_than_asked(
    inspector: Inspector, server: Server, filled: Keys
) -> None:
    with server.client() as client:
        client.xdel(filled.stream, "7-0")

    billing, _ = inspector.groups()
    assert (billing.lag, billing.lag_exact) == (4, True)
    billing, _ = inspector.groups(count_to=3)
    assert (billing.lag, billing.lag_exact) == (3, False)


def test_an_outline_is_of_one_moment(inspector: Inspector, filled: Keys) -> None:
    sight = inspector.outline()

    assert (sight.entries, sight.first_id, sight.last_id, sight.dead_letters) == (10, "1-0", "10-0", 0)
    assert sight.entries_added in (None, 10)
    assert [(group.name, group.pending) for group in sight.groups] == [("billing", 5), ("mailer", 0)]


def test_a_stream_that_is_not_there_has_nothing(inspector: Inspector) -> None:
    assert inspector.groups() == []
    assert inspector.outline().groups == ()
    assert inspector.last_id() == "0-0"
    assert list(inspector.newest()) == []
