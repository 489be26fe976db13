"""A replay that breaks off replays nothing twice and forgets nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from streamix_queue import BrokerUnavailable, Publisher
from streamix_queue.admin import Admin, DeadLetterFilter, ReplayInterrupted, ReplayReport
from tests.admin.services import EVENT, Service, letters, running
from tests.support.proxy import Proxy
from tests.support.servers import Server


def dead_lettered(server: Server, stream: str, count: int) -> Service:
    """A service that has been mended after it dead-lettered so many messages; it is stopped."""
    service = Service(server.url, stream, "billing", broken=True)
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin, running(service):
        publisher.publish_many((EVENT, {"n": n}) for n in range(count))
        letters(admin, count)
    return Service(server.url, stream, "billing")


def test_a_lost_reply_replays_nothing_twice(server: Server, stream: str) -> None:
    service = dead_lettered(server, stream, 3)
    with Proxy(server.port) as proxy, Admin(proxy.url, stream) as admin:
        fault = proxy.lose_reply("script:replay", nth=2)

        report = admin.replay(DeadLetterFilter())

        fault.wait()
        assert report.ok
        assert len(report.replayed) == 3
        assert proxy.seen("script:replay") > 3, "it was asked again"
        with running(service):
            service.handler.wait_for(3)
            service.consumer.stop()
        assert sorted(service.handler.values()) == [0, 1, 2]


def test_when_redis_goes_away_the_report_tells_how_far_it_came_and_a_second_run_does_the_rest(
    start_server: Callable[..., Server], stream: str
) -> None:
    server = start_server(appendonly=True)
    service = dead_lettered(server, stream, 10)
    with Admin(server.url, stream, timeout_ms=300) as admin:
        done: list[object] = []

        def progress(each: object) -> None:
            done.append(each)
            if len(done) == 4:
                server.stop()

        with pytest.raises(ReplayInterrupted) as raised:
            admin.replay(DeadLetterFilter(), progress=progress)
        assert raised.value.report.replayed == done
        assert len(done) == 4
        assert isinstance(raised.value, BrokerUnavailable)

        server.restart()
        assert len(admin.replay(DeadLetterFilter()).replayed) == 6
        with running(service):
            service.handler.wait_for(10)
            service.consumer.stop()
    assert Counter(service.handler.values()) == Counter(range(10))


def test_two_replays_at_the_same_time_share_the_work(any_server: Server, stream: str) -> None:
    service = dead_lettered(any_server, stream, 20)
    with Admin(any_server.url, stream) as one, Admin(any_server.url, stream) as other:
        took: list[ReplayReport] = []

        def let_the_other_go_first(each: object) -> None:
            if not took:
                took.append(other.replay(DeadLetterFilter(), limit=5))

        report = one.replay(DeadLetterFilter(), progress=let_the_other_go_first)

        assert len(report.replayed) + len(took[0].replayed) == 20
        assert len(report.missing) == 5, "what the other one took is told as gone"
    with running(service):
        service.handler.wait_for(20)
        service.consumer.stop()
    assert Counter(service.handler.values()) == Counter(range(20))
