"""The backlog as Redis has it when the page is read, on every kind of server."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streamix_queue.broker.redis.group_backlog import GroupBacklog, PendingList
from streamix_telemetry import watch_backlog
from streamix_telemetry.catalogue import GROUP_CONSUMERS
from streamix_telemetry.collector import Target, figures
from tests.support.members import Handler, eventually
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.telemetry.pages import Page, promtool_check
from tests.telemetry.scenes import EVENT, consuming, fail_until, publish

KNOWS_LAG = ("redis7", "redis8", "valkey9")


@pytest.fixture
def page_of(registry: CollectorRegistry) -> Any:
    """A function that reads the page of a group; what it watches is forgotten afterwards."""
    ends: list[Any] = []

    def read(server: Server, stream: str, group: str = "g", **options: Any) -> Page:
        if not ends:
            ends.append(watch_backlog(server.url, stream, group, **options))
        return Page.of(registry)

    yield read
    for end in ends:
        end()


def test_what_nobody_has_got_is_counted_and_has_an_age(server: Server, stream: str, page_of: Any) -> None:
    publish(server, stream, 5)
    with server.client() as client:
        client.xgroup_create(stream, "g", "0")
        client.xreadgroup("g", "someone", {stream: ">"}, count=2)
        time.sleep(0.02)  # an age to be seen
        page = page_of(server, stream)

    def of_group(name: str) -> float:
        return float(page.value(f"streamix_group_{name}", stream=stream, group="g"))

    assert page.value("streamix_collector_success") == 1
    assert page.value("streamix_stream_length_messages", stream=stream) == 5
    assert of_group("pending_messages") == 2
    assert 0.02 <= of_group("oldest_undelivered_seconds") < 30
    assert 0.02 <= of_group("oldest_pending_seconds") < 30
    assert 0.02 <= of_group("max_idle_pending_seconds") < 30
    assert of_group("max_deliveries") == 1
    assert page.value("streamix_group_consumers", state="active") == 1
    assert page.value("streamix_group_consumers", state="stale") == 0
    assert abs(page.value("streamix_redis_clock_skew_seconds")) < 1
    assert page.value("streamix_stream_first_entry_timestamp_seconds") == pytest.approx(time.time(), abs=30)
    assert promtool_check(page.text) == ""


def test_the_lag_is_there_when_the_server_knows_it_and_else_absent(
    server: Server, stream: str, page_of: Any
) -> None:
    publish(server, stream, 5)
    with server.client() as client:
        client.xgroup_create(stream, "g", "0")
        client.xreadgroup("g", "someone", {stream: ">"}, count=2)
    page = page_of(server, stream)

    if server.kind in KNOWS_LAG:
        assert page.value("streamix_group_lag_messages", stream=stream, group="g") == 3
        assert page.value("streamix_group_lag_known", stream=stream, group="g") == 1
        assert page.value("streamix_stream_entries_added_total", stream=stream) == 5
    else:
        assert not page.has("streamix_group_lag_messages")
        assert page.value("streamix_group_lag_known", stream=stream, group="g") == 0
        assert not page.has("streamix_stream_entries_added_total")


def test_a_lag_that_redis_has_lost_is_absent_and_the_age_is_still_right(
    server: Server, stream: str, page_of: Any
) -> None:
    publish(server, stream, 5)
    with server.client() as client:
        client.xgroup_create(stream, "g", "0")
        client.xreadgroup("g", "someone", {stream: ">"}, count=1)
        ids = [entry_id for entry_id, _ in client.xrange(stream)]
        client.xdel(stream, ids[2])  # a hole ahead: from now on the server cannot tell
        page = page_of(server, stream)

    assert page.value("streamix_group_lag_known", stream=stream, group="g") == 0
    assert not page.has("streamix_group_lag_messages")
    assert page.value("streamix_group_oldest_undelivered_seconds", stream=stream, group="g") > 0
    assert page.value("streamix_collector_success") == 1


def test_retries_dead_letters_and_inboxes_are_counted(server: Server, stream: str, page_of: Any) -> None:
    publish(server, stream, 3)
    with (
        consuming(server, stream, fail_until(9), retry_limit=0, group="lost"),
        consuming(server, stream, fail_until(9), backoff_base_ms=60_000, backoff_max_ms=60_000),
        server.client() as client,
    ):
        eventually(lambda: client.zcard(f"{stream}:g:delayed") == 3)
        eventually(lambda: client.xlen(f"{stream}:failed") == 3)
    with server.client() as client:
        # One of them is long due and nobody promotes it; another has been, and nobody reads it.
        first, second, _ = client.zrange(f"{stream}:g:delayed", 0, -1)
        client.zadd(f"{stream}:g:delayed", {first: 1000 * (time.time() - 90)})
        client.zrem(f"{stream}:g:delayed", second)
        client.xadd(f"{stream}:g:inbox:{EVENT}", {"message": "x"})
    page = page_of(server, stream)

    assert page.value("streamix_delayed_messages", stream=stream, group="g") == 2
    assert 89 < page.value("streamix_delayed_overdue_seconds", stream=stream, group="g") < 120
    assert page.value("streamix_dead_letter_messages", stream=stream) == 3
    assert page.value("streamix_dead_letter_oldest_seconds", stream=stream) > 0
    assert page.value("streamix_group_inbox_messages", stream=stream, group="g", event=EVENT) == 1
    # The inbox belongs to the group: what waits there is not delivered yet.
    assert page.value("streamix_group_oldest_undelivered_seconds", stream=stream, group="g") > 0


def test_the_idle_time_is_that_of_the_entry_that_waits_longest(
    server: Server, stream: str, page_of: Any
) -> None:
    publish(server, stream, 3)
    with server.client() as client:
        client.xgroup_create(stream, "g", "0")
        ((_, entries),) = client.xreadgroup("g", "gone", {stream: ">"})
        client.xclaim(stream, "g", "gone", 0, [entries[1][0]], idle=100_000, retrycount=7)
    page = page_of(server, stream)

    assert 99 < page.value("streamix_group_max_idle_pending_seconds", stream=stream, group="g") < 130
    assert page.value("streamix_group_max_deliveries", stream=stream, group="g") == 7


@pytest.mark.parametrize(("lease_s", "active"), [(1.0, 2), (60.0, 3)])
def test_a_member_is_stale_when_it_is_silent_for_a_lease_and_for_long(lease_s: float, active: int) -> None:
    nothing = PendingList(0, True, 0, None, None, None, 0.0, 0)
    idle = (0.1, 14.0, 50.0, 70.0)
    backlog = GroupBacklog(0.0, nothing, {}, None, None, None, idle, 0, None, 0, 0.0)

    found = {
        labels: value
        for metric, labels, value in figures(Target("", "s", "g", lease_s), backlog)
        if metric is GROUP_CONSUMERS
    }

    assert found == {("s", "g", "active"): active, ("s", "g", "stale"): 4 - active}


def test_a_stream_that_does_not_exist_yet_is_no_failure(
    any_server: Server, stream: str, page_of: Any
) -> None:
    page = page_of(any_server, stream)

    assert page.value("streamix_collector_success") == 1
    assert page.value("streamix_stream_length_messages", stream=stream) == 0
    assert not page.has("streamix_group_pending_messages")  # there is no group to have any


def test_a_key_of_another_type_costs_its_own_figures_only(
    any_server: Server, stream: str, page_of: Any
) -> None:
    publish(any_server, stream, 2)
    with any_server.client() as client:
        client.set(f"{stream}:failed", "not a stream")
    page = page_of(any_server, stream)

    assert page.value("streamix_collector_success") == 0
    assert page.value("streamix_stream_length_messages", stream=stream) == 2
    assert not page.has("streamix_dead_letter_messages")


def test_the_memory_of_a_stream_is_shown_on_request(any_server: Server, stream: str, page_of: Any) -> None:
    publish(any_server, stream, 2)

    assert page_of(any_server, stream, memory=True).value("streamix_stream_memory_bytes", stream=stream) > 100


@pytest.mark.parametrize("fault", ["stopped", "paused", "stalled", "slow"])
def test_when_redis_is_away_the_page_says_so_within_two_seconds(
    start_server: Any, stream: str, registry: CollectorRegistry, fault: str
) -> None:
    server: Server = start_server()
    with Proxy(server.port) as proxy, consuming(server, stream, Handler()):
        end = watch_backlog(proxy.url, stream, "g")
        assert Page.of(registry).value("streamix_collector_success") == 1
        eventually(lambda: Page.of(registry).value("streamix_redis_connected") == 1)
        time.sleep(1.1)  # what was read is kept for a second
        if fault == "stopped":
            server.stop()
        elif fault == "paused":
            server.pause()
        elif fault == "stalled":
            proxy.stall()
        else:
            proxy.delay_s = 0.95  # of each reply
        started = time.monotonic()
        page = Page.of(registry)
        took = time.monotonic() - started
        if fault == "paused":
            server.resume()
        elif fault == "stopped":
            server.restart()
        proxy.resume()
        end()

    assert took < 2.0
    assert page.value("streamix_collector_success") == 0
    assert page.value("streamix_collector_duration_seconds") < 2.0
    assert not page.has("streamix_stream_length_messages")
    assert page.value("streamix_workers", group="g") == 1
    assert promtool_check(page.text) == ""


def test_two_scrapes_in_one_second_ask_redis_once(any_server: Server, stream: str, page_of: Any) -> None:
    def asked() -> int:
        with any_server.client() as client:
            stats: Any = client.info("commandstats")
        return int(stats.get("cmdstat_xlen", {"calls": 0})["calls"])

    page_of(any_server, stream)
    before = asked()
    for _ in range(5):
        page_of(any_server, stream)

    assert asked() == before


def test_a_large_backlog_costs_no_more_to_look_at(any_server: Server, stream: str, page_of: Any) -> None:
    """Only ids leave the server, and of what is pending the oldest hundred are looked at."""
    big = "x" * 100_000
    with any_server.client() as client:
        client.xgroup_create(stream, "g", "0", mkstream=True)
        for _ in range(300):
            client.xadd(stream, {"message": big})
        client.xreadgroup("g", "c", {stream: ">"}, count=200)
        before: Any = client.info("stats")
        page = page_of(any_server, stream)
        after: Any = client.info("stats")

    assert page.value("streamix_group_pending_messages", stream=stream, group="g") == 200
    assert after["total_net_output_bytes"] - before["total_net_output_bytes"] < 20_000
