"""Two looks at metrics pages become rates and percentiles; what is not known stays unknown."""

from __future__ import annotations

import math

import pytest

from streamix_queue.cli.top.handler_stats import changes, handlers, quantile, runtime
from streamix_queue.cli.top.pages import Page, read_page

INF = math.inf
OURS = 'stream="events",group="billing",event="order.placed"'


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
