"""How far behind one group is."""

from __future__ import annotations

from streamix_queue.admin import InboxLag, Inspector
from streamix_queue.core.keys import Keys
from tests.admin.waiting import put_retry
from tests.support.servers import Server


def test_all_that_a_group_has_to_do_yet_is_told(inspector: Inspector, server: Server, filled: Keys) -> None:
    with server.client() as client:
        put_retry(client, filled, "m-1")
        client.xadd(filled.failed, {"message": "x"})

    lag = inspector.lag("billing")

    assert lag is not None
    assert (lag.lag, lag.lag_exact, lag.pending, lag.delayed, lag.dead_letters) == (5, True, 5, 1, 1)
    assert lag.inboxes == (InboxLag("order.placed", lag=1, pending=2),)
    assert (lag.undelivered, lag.inbox, lag.members) == (6, 3, 2)
    assert lag.age_s > 3600, "the ids of the entries say that they are from 1970"
    assert lag.errors == ()


def test_a_lag_that_redis_lost_is_counted_no_further_than_asked(
    inspector: Inspector, server: Server, filled: Keys
) -> None:
    with server.client() as client:
        client.xdel(filled.stream, "7-0")

    lag = inspector.lag("billing", count_to=3)

    assert lag is not None
    assert (lag.lag, lag.lag_exact) == (3, False)


def test_a_group_that_is_not_there_has_no_lag(inspector: Inspector, filled: Keys) -> None:
    assert inspector.lag("other") is None
