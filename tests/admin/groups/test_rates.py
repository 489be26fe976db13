"""Two looks at a stream become rates; what is not known stays unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamix_queue.admin import GroupProgress, GroupRates, StreamSight, rates_between

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


def uncounted(sight: StreamSight, **changed: object) -> StreamSight:
    """As a server tells it that counts neither what was added nor what was read."""
    groups = tuple(replace(group, entries_read=None) for group in sight.groups)
    return replace(sight, **{"entries_added": None, "groups": groups, **changed})  # type: ignore[arg-type]


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
