"""The history checker has to object: a checker that never does proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.fact_log import Record
from tests.support.history import Expected, Letter, Published, Report, check

GROUP = "g"


def record(kind: str, message_id: str, **values: Any) -> Record:
    return {"kind": kind, "message_id": message_id, "group": GROUP, "boot": "b1", "monotonic": 0.0, **values}


def handled(message_id: str, **values: Any) -> list[Record]:
    """A start, a success and its ack."""
    return [
        record("started", message_id, **values),
        record("finished", message_id, **values),
        record("settled", message_id, outcome="ack", **values),
    ]


def judge(
    published: Published | set[str],
    records: Sequence[Record],
    letters: Sequence[Letter] = (),
    *,
    groups: Sequence[str] = (GROUP,),
    **expected: Any,
) -> Report:
    if isinstance(published, set):
        published = Published(ok=published)
    return check(
        published, records, letters, Expected(published=len(published.ok), **expected), groups=groups
    )


def buried(message_id: str, reason: str = "rejected", group: str = GROUP) -> Letter:
    return Letter(message_id, group, reason)


def test_a_run_in_which_every_message_was_handled_once_is_in_order() -> None:
    report = judge({"a", "b"}, handled("a") + handled("b"))
    assert report.ok, report
    group = report.groups[GROUP]
    assert (len(group.ok), group.starts, group.max_starts, group.duplicated) == (2, 2, 1, 0)


def test_a_message_that_was_meant_to_be_dead_lettered_may_be() -> None:
    records = [record("started", "a"), record("failed", "a")]
    report = judge({"a"}, records, [buried("a")], doomed={"a": {"rejected"}})
    assert report.ok, report
    assert report.groups[GROUP].reasons == {"rejected": 1}


def test_it_objects_to_a_lost_message() -> None:
    report = judge({"a", "b"}, handled("a"))
    assert report.groups[GROUP].lost == {"b"}
    assert report.violations == ["g: message b was published, and neither handled nor dead-lettered"]


def test_a_message_that_only_began_is_lost() -> None:
    report = judge({"a"}, [record("started", "a"), record("failed", "a")])
    assert report.groups[GROUP].lost == {"a"}
    assert not report.ok


def test_it_objects_to_a_message_that_only_one_of_two_groups_got() -> None:
    report = judge({"a"}, handled("a"), groups=(GROUP, "other"))
    assert report.groups["other"].lost == {"a"}
    assert report.groups[GROUP].lost == set()
    assert not report.ok


def test_it_objects_to_a_message_that_nobody_published() -> None:
    report = judge({"a"}, handled("a") + handled("x"))
    assert report.groups[GROUP].unexpected == {"x"}
    assert report.violations == ["g: message x was never published"]


def test_it_objects_to_a_dead_letter_that_nobody_published() -> None:
    report = judge({"a"}, handled("a"), [buried("x")], doomed={"x": {"rejected"}})
    assert report.violations == ["g: message x was never published"]


def test_an_indeterminate_publish_may_be_in_or_out() -> None:
    published = Published(ok={"a"}, indeterminate={"in", "out"}, refused=1)
    report = judge(published, handled("a") + handled("in"))
    assert report.ok, report
    assert report.groups[GROUP].recovered == {"in"}
    assert (report.attempts, report.published, report.indeterminate) == (4, 1, 2)


def test_it_objects_to_a_message_that_was_handled_and_dead_lettered() -> None:
    report = judge({"a"}, handled("a"), [buried("a")], doomed={"a": {"rejected"}})
    assert report.violations == ["g: message a was handled and dead-lettered as well"]


def test_it_objects_to_a_message_that_was_dead_lettered_twice() -> None:
    letters = [buried("a"), buried("a")]
    report = judge({"a"}, [record("started", "a")], letters, doomed={"a": {"rejected"}})
    assert report.violations == ["g: message a was 2 times dead-lettered"]


def test_one_dead_letter_in_each_of_two_groups_is_in_order() -> None:
    letters = [buried("a"), buried("a", group="other")]
    report = judge({"a"}, [], letters, groups=(GROUP, "other"), doomed={"a": {"rejected"}})
    assert report.ok, report


@pytest.mark.parametrize("doomed", [{}, {"a": {"rejected"}}])
def test_it_objects_to_a_dead_letter_for_another_reason_than_was_meant(doomed: dict[str, set[str]]) -> None:
    report = judge({"a"}, [], [buried("a", "crash")], doomed=doomed)
    assert report.violations == [
        "g: message a was dead-lettered with the reason 'crash', and was not meant to be"
    ]


def test_it_objects_to_too_many_attempts() -> None:
    attempt = [record("started", "a"), record("failed", "a")]
    report = judge({"a"}, attempt * 4 + handled("a"), max_starts=4)
    assert report.groups[GROUP].max_starts == 5
    assert report.violations == ["g: message a was 5 times begun, more than 4"]


def test_it_objects_to_a_second_success() -> None:
    report = judge({"a"}, handled("a") * 2, max_starts=2)
    assert report.groups[GROUP].duplicated == 1
    assert report.violations == ["g: 1 successes too many, more than 0"]


def test_a_second_success_is_in_order_after_a_death_before_the_ack() -> None:
    first = [record("started", "a"), record("finished", "a")]
    report = judge({"a"}, first + handled("a", boot="b2"), max_starts=2, max_duplicates=None, deaths={"b1"})
    assert report.ok, report
    assert report.groups[GROUP].duplicated == 1


def test_it_objects_to_a_second_success_that_no_death_explains() -> None:
    twice = handled("a") + handled("a", boot="b2")
    report = judge({"a"}, twice, max_starts=2, max_duplicates=None, deaths={"b1"})
    assert report.violations == ["g: message a was handled twice, though no death explains it"]


def test_a_second_success_is_in_order_when_one_of_the_processes_was_frozen() -> None:
    records = handled("a", pid=1) + handled("a", boot="b2", pid=2)
    options: dict[str, Any] = {"max_starts": 2, "max_duplicates": None, "deaths": set()}
    assert not judge({"a"}, records, **options).ok
    assert judge({"a"}, records, excused={1}, **options).ok


def test_the_ack_of_an_earlier_failure_does_not_count_as_the_ack_of_a_success() -> None:
    retried = [record("started", "a"), record("failed", "a"), record("settled", "a", outcome="retry")]
    died = [record("started", "a"), record("finished", "a")]
    records = retried + died + handled("a", boot="b2")
    report = judge({"a"}, records, max_starts=3, max_duplicates=None, deaths={"b1"})
    assert report.ok, report


def test_it_objects_to_a_success_that_never_began() -> None:
    report = judge({"a"}, [record("finished", "a")])
    assert report.violations == ["g: message a ended more often than it began"]


def test_it_objects_to_a_message_that_ran_twice_at_once() -> None:
    records = [
        record("started", "a", monotonic=1.0),
        record("started", "a", monotonic=2.0, boot="b2"),
        record("failed", "a", monotonic=3.0),
        record("finished", "a", monotonic=4.0, boot="b2"),
    ]
    report = judge({"a"}, records, max_starts=2, overlaps=False)
    assert report.violations == ["g: message a ran twice at once"]


def test_what_a_dead_process_was_at_is_no_overlap() -> None:
    records = [record("started", "a", monotonic=1.0), *handled("a", monotonic=2.0, boot="b2")]
    report = judge({"a"}, records, max_starts=2, overlaps=False, deaths={"b1"})
    assert report.ok, report


def test_it_objects_to_a_run_that_published_fewer_than_asked() -> None:
    report = check(Published(ok={"a"}), handled("a"), [], Expected(published=2), groups=[GROUP])
    assert report.violations == ["only 1 of 2 messages were published"]


def test_it_objects_to_a_run_whose_nemesis_did_nothing() -> None:
    expected = Expected(published=1, faults=3)
    report = check(Published(ok={"a"}), handled("a"), [], expected, groups=[GROUP], faults=0)
    assert report.violations == ["the nemesis struck 0 times, and was to strike 3"]


def test_it_objects_to_records_of_a_group_that_nobody_asked_for() -> None:
    report = judge({"a"}, handled("a") + handled("a", group="stray"))
    assert report.violations == ["nobody asked for the groups ['stray']"]


def test_many_violations_of_a_kind_are_cut_short_and_counted() -> None:
    report = judge({f"m{number}" for number in range(8)}, [])
    assert len(report.violations) == 6
    assert report.violations[-1] == "g: … and 3 more"


def test_the_report_reads_as_one_line_of_counts_for_each_group() -> None:
    report = judge({"a"}, handled("a"))
    assert str(report) == (
        "attempts=1 published=1 indeterminate=0 faults=0\n"
        "g: ok=1 dead=0 lost=0 unexpected=0 recovered=0 duplicated=0 starts=1 max_starts=1\n"
        "no violation"
    )
