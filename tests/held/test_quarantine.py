"""Which suspect runs: one at a time, alone, and for a bounded time. Decided without threads."""

from __future__ import annotations

from streamix_queue.held.quarantine import Quarantine
from tests.held.hall import delivery

ALONE_S = 30.0
NOW = 1000.0
SUSPECT = delivery("e", 1, deliveries=2)


def entered() -> Quarantine[str]:
    quarantine: Quarantine[str] = Quarantine(ALONE_S)
    quarantine.enter(SUSPECT, "lane", NOW)
    return quarantine


def test_it_holds_nobody_back_while_it_is_empty() -> None:
    quarantine: Quarantine[str] = Quarantine(ALONE_S)

    assert quarantine.has_room
    assert not quarantine.holds_others_back(NOW)
    assert quarantine.begin(NOW, others_run=False) is None
    assert quarantine.late_in(NOW) == 3600.0


def test_one_that_waits_begins_when_nothing_else_runs_and_holds_back_what_would() -> None:
    quarantine = entered()

    assert not quarantine.has_room
    assert quarantine.holds_others_back(NOW)
    assert quarantine.begin(NOW + 1, others_run=True) is None
    assert quarantine.begin(NOW + 1, others_run=False) == (SUSPECT, "lane")


def test_it_begins_beside_others_when_they_take_too_long() -> None:
    quarantine = entered()

    assert quarantine.begin(NOW + ALONE_S, others_run=True) == (SUSPECT, "lane")


def test_while_it_runs_nothing_begins_but_not_for_ever() -> None:
    quarantine = entered()
    quarantine.begin(NOW + 5, others_run=False)

    assert not quarantine.has_room
    assert quarantine.holds_others_back(NOW + 5 + ALONE_S - 0.1)
    assert quarantine.late_in(NOW + 10) == ALONE_S - 5
    assert not quarantine.holds_others_back(NOW + 5 + ALONE_S)
    assert not quarantine.has_room, "a second one has to wait for its end all the same"

    quarantine.ended()

    assert quarantine.has_room


def test_one_that_has_not_begun_can_be_taken_back_if_it_is_the_one_that_is_wanted() -> None:
    quarantine = entered()

    assert quarantine.withdraw(lambda suspect, lane: lane == "another") == []
    assert quarantine.withdraw(lambda suspect, lane: lane == "lane") == [SUSPECT]
    assert quarantine.has_room
