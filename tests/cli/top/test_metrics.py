"""Two looks become rates, and two histograms percentiles; what is not known stays unknown."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from streamix_queue.admin import GroupProgress, GroupRates, StreamSight, rates_between
from streamix_queue.cli.top.metrics import (
    Page,
    PageUnreadable,
    changes,
    handlers,
    quantile,
    read_page,
    runtime,
)

BILLING = GroupProgress("billing", entries_read=90, pending=10, last_delivered_id="9-0")
BEFORE = StreamSight(
    at_s=100.0,
    entries=50,
    entries_added=100,
    first_id="5-0",
    last_id="10-0",
    dead_letters=0,
    groups=(BILLING,),
)
AFTER = replace(
    BEFORE,
    at_s=102.0,
    entries=70,
    entries_added=120,
    last_id="12-0",
    groups=(replace(BILLING, entries_read=110, pending=16, last_delivered_id="11-0"),),
)
INF = math.inf


def uncounted(sight: StreamSight, **changed: object) -> StreamSight:
    """As a server tells it that counts neither what was added nor what was read."""
    groups = tuple(replace(group, entries_read=None) for group in sight.groups)
    return replace(sight, **{"entries_added": None, "groups": groups, **changed})  # type: ignore[arg-type]


# --- rates that are not known ---------------------------------------------------------------------


def test_without_a_first_look_nothing_is_known() -> None:
    found = rates_between(None, AFTER)

    assert found.published is None
    assert found.groups == {"billing": GroupRates(None, None)}


@pytest.mark.parametrize(
    "before",
    [
        replace(BEFORE, at_s=102.0),
        replace(BEFORE, at_s=103.0),
        replace(BEFORE, last_id="12-1"),
    ],
    ids=["no time has passed", "the clock went back", "the stream was made anew"],
)
def test_looks_that_cannot_be_compared_give_no_rate(before: StreamSight) -> None:
    found = rates_between(before, AFTER)

    assert (found.published, found.groups["billing"]) == (None, GroupRates())


def test_counts_that_went_back_give_no_rate() -> None:
    behind = replace(BILLING, entries_read=3)

    assert rates_between(BEFORE, replace(AFTER, entries_added=7)).published is None
    assert rates_between(BEFORE, replace(AFTER, groups=(behind,))).groups["billing"] == GroupRates()


def test_a_group_that_was_not_there_before_has_no_rate() -> None:
    new = replace(BILLING, name="mail")

    assert rates_between(BEFORE, replace(AFTER, groups=(new,))).groups == {"mail": GroupRates()}


def test_more_pending_than_was_read_is_no_negative_rate() -> None:
    claimed = replace(BILLING, pending=11)

    assert rates_between(BEFORE, replace(AFTER, groups=(claimed,))).groups["billing"] == GroupRates(0.0, None)


def test_a_server_that_does_not_count_tells_nothing_of_a_group_that_is_behind() -> None:
    found = rates_between(uncounted(BEFORE), uncounted(AFTER))

    assert found.groups["billing"] == GroupRates()


def test_a_server_that_does_not_count_tells_nothing_once_entries_were_trimmed() -> None:
    trimmed = uncounted(AFTER, first_id="6-0", entries=20)

    assert rates_between(uncounted(BEFORE), trimmed).published is None


# --- rates that are -------------------------------------------------------------------------------


def test_rates_are_differences_by_time() -> None:
    found = rates_between(BEFORE, AFTER)

    assert found.published == 10.0
    assert found.groups["billing"] == GroupRates(read=10.0, handled=7.0)  # 20 were read, 6 more pend


def test_a_server_that_does_not_count_tells_what_was_added_while_nothing_is_trimmed() -> None:
    assert rates_between(uncounted(BEFORE), uncounted(AFTER)).published == 10.0


def test_nothing_happened_is_known_on_every_server() -> None:
    found = rates_between(uncounted(BEFORE), uncounted(BEFORE, at_s=101.0, first_id="7-0"))

    assert (found.published, found.groups["billing"]) == (0.0, GroupRates(0.0, 0.0))


def test_a_group_that_has_got_everything_reads_what_is_published() -> None:
    before = uncounted(BEFORE, last_id="9-0")
    after = uncounted(AFTER, last_id="11-0")

    assert rates_between(before, after).groups["billing"] == GroupRates(10.0, 7.0)


# --- percentiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "buckets",
    [
        [],
        [(INF, 5.0)],
        [(0.1, 0.0), (INF, 0.0)],
        [(0.1, 1.0), (0.2, 2.0)],
    ],
    ids=["no buckets", "one bucket", "no observations", "no last bucket"],
)
def test_without_observations_there_is_no_percentile(buckets: list[tuple[float, float]]) -> None:
    assert quantile(0.5, buckets) is None


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0.0, 0.0), (0.25, 0.05), (0.5, 0.1), (0.75, 0.55), (0.9, 0.82), (1.0, 1.0)],
)
def test_a_percentile_is_interpolated_within_its_bucket(q: float, expected: float) -> None:
    assert quantile(q, [(INF, 100.0), (1.0, 100.0), (0.1, 50.0)]) == pytest.approx(expected)


def test_above_the_highest_bound_the_bound_is_told() -> None:
    assert quantile(0.99, [(0.1, 1.0), (5.0, 2.0), (INF, 100.0)]) == 5.0


def test_empty_buckets_are_passed_over() -> None:
    assert quantile(0.5, [(0.1, 0.0), (0.2, 0.0), (0.4, 8.0), (1.0, 8.0), (INF, 8.0)]) == pytest.approx(0.3)


# --- pages ----------------------------------------------------------------------------------------

OURS = 'stream="events",group="billing",event="order.placed"'


def page(at_s: float, acked: int, fast: int, slow: int, *, retried: int = 0, extra: str = "") -> Page:
    return Page(
        at_s,
        read_page(
            f'streamix_processed_messages_total{{{OURS},outcome="ack"}} {acked}\n'
            f'streamix_processed_messages_total{{{OURS},outcome="retry"}} {retried}\n'
            f'streamix_process_duration_seconds_bucket{{{OURS},error_type="",le="0.1"}} {fast}\n'
            f'streamix_process_duration_seconds_bucket{{{OURS},error_type="",le="0.3"}} {fast + slow}\n'
            f'streamix_process_duration_seconds_bucket{{{OURS},error_type="",le="+Inf"}} {fast + slow}\n'
            + extra
        ),
    )


@pytest.mark.parametrize("text", ["<html>\n", "a{ 1\n", 'a{b="c"} x\n', "\x00\x1b[2J{}{}\n"])
def test_what_is_no_page_is_told(text: str) -> None:
    with pytest.raises(PageUnreadable):
        read_page(text)


def test_a_page_seen_once_has_no_rates_yet() -> None:
    (found,) = handlers("events", None, [(None, page(1.0, 5, 5, 0))])

    assert (found["event"], found["handled_per_s"], found["p50_s"]) == ("order.placed", None, None)


def test_only_what_happened_between_the_looks_counts() -> None:
    (found,) = handlers("events", None, [(page(1.0, 50, 50, 0), page(3.0, 60, 50, 10, retried=4))])

    assert (found["handled_per_s"], found["failed_per_s"]) == (5.0, 2.0)
    assert found["p50_s"] == pytest.approx(0.2)  # all ten were between 0.1 and 0.3


def test_the_pages_of_several_processes_are_added_up() -> None:
    pages = [(page(1.0, 0, 0, 0), page(2.0, 10, 10, 0)), (page(1.0, 0, 0, 0), page(3.0, 20, 0, 10))]

    (found,) = handlers("events", None, [*pages])

    assert found["handled_per_s"] == 20.0
    assert found["p50_s"] == pytest.approx(0.1)


def test_a_process_that_began_anew_counts_from_zero() -> None:
    before, after = page(1.0, 900, 0, 0), page(2.0, 7, 0, 0)

    (found,) = handlers("events", None, [(before, after)])

    assert found["handled_per_s"] == 7.0
    assert sum(changes(before.values, after.values).values()) == 7.0


def test_another_stream_or_group_is_left_out() -> None:
    pages = [(None, page(1.0, 5, 5, 0))]

    assert handlers("others", None, pages) == []
    assert handlers("events", "mail", pages) == []
    assert len(handlers("events", "billing", pages)) == 1


def test_workers_and_restarts_are_counted_by_group() -> None:
    extra = (
        'streamix_workers{group="billing",state="busy"} 3\n'
        'streamix_workers{group="billing",state="idle"} 1\n'
        'streamix_workers{group="mail",state="idle"} 9\n'
        'streamix_worker_restarts_total{group="billing",reason="crash"} 2\n'
        'streamix_worker_restarts_total{group="billing",reason="stuck"} 1\n'
    )
    one = page(1.0, 0, 0, 0, extra=extra)

    (found,) = runtime("billing", [(None, one)])

    assert found == {"group": "billing", "busy": 3, "idle": 1, "stopped": 0, "restarts": 3}
    assert [each["group"] for each in runtime(None, [(None, one)])] == ["billing", "mail"]
