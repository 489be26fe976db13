"""A run that loses or duplicates a message must not look like a result."""

from __future__ import annotations

from typing import Any

import pytest

from load.child import Child, ChildFailed
from load.filling import fill, lost_and_duplicates, numbers_on, unsettled
from load.harness import BARE_LOOP, Bench, Contestant
from load.payload import GROUP, STREAM
from load.results import Result
from load.scenarios.consume import measure_rates
from load.scenarios.publish import measure_publishing
from streamix_queue.core.wire import decode

FAULTY = "tests.load.faulty_driver"


def faulty(**options: Any) -> Contestant:
    return Contestant("faulty", FAULTY, options=options)


def measured(bench: Bench, measure: Any, contestant: Contestant) -> Result:
    result = Result("consume", "?", {})
    measure(bench, result, [contestant], 20)
    result.rows[0].ours = True
    return result


@pytest.mark.parametrize("measure", [measure_rates, measure_publishing])
def test_a_contestant_without_fault_is_sound(bench: Bench, measure: Any) -> None:
    result = measured(bench, measure, faulty())

    row = result.rows[0]
    assert (row.lost, row.duplicates, row.messages, row.error) == (0, 0, 20, "")


@pytest.mark.parametrize("measure", [measure_rates, measure_publishing])
def test_a_lost_message_is_counted_and_fails_the_run(bench: Bench, measure: Any) -> None:
    short = Bench(bench.server, repeats=1, pinned=False, deadline_s=2.0, say=bench.say)

    result = measured(short, measure, faulty(lose=7))

    assert (result.rows[0].lost, result.rows[0].duplicates) == (1, 0)
    assert not result.sound


@pytest.mark.parametrize("measure", [measure_rates, measure_publishing])
def test_a_duplicate_is_counted_and_fails_the_run(bench: Bench, measure: Any) -> None:
    result = measured(bench, measure, faulty(repeat=7))

    assert (result.rows[0].lost, result.rows[0].duplicates) == (0, 1)
    assert not result.sound


def test_messages_that_were_handled_but_never_acked_fail_the_run(bench: Bench) -> None:
    result = measured(bench, measure_rates, faulty())

    assert result.rows[0].unsettled == 20
    assert not result.sound


def test_a_contestant_that_dies_is_out_with_its_last_words_and_the_others_go_on(bench: Bench) -> None:
    result = Result("consume", "?", {}, floor=BARE_LOOP.name)
    twice = Bench(bench.server, repeats=2, pinned=False, deadline_s=30.0, say=bench.say)

    measure_rates(twice, result, [faulty(die=True), BARE_LOOP], 20)

    dead, alive = result.rows
    assert "died of what it was told" in dead.error
    assert not dead.figures
    assert len(alive.figures["messages/s"]) == 2
    assert alive.sound


def test_a_contestant_that_is_silent_is_not_waited_for_for_ever(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr("load.child._START_DEADLINE_S", 0.5)
    job = {"role": "consume", "url": bench.server.url, "messages": 1, "options": {"silent": True}}

    with Child(FAULTY, job) as child, pytest.raises(ChildFailed, match="no ready within"):
        child.wait_ready()

    assert not child.alive


def test_filled_messages_are_what_the_library_reads_each_with_an_id_of_its_own(bench: Bench) -> None:
    fill(bench.server.client, 1500, event_of=lambda n: "odd" if n % 2 else "even", pad="p" * 100)

    entries = bench.server.client.xrange(STREAM)
    messages = [decode(fields[b"message"]) for _, fields in entries]
    assert [message.data["n"] for message in messages] == list(range(1500))
    assert len({message.id for message in messages}) == 1500
    assert {(message.data["n"] % 2, message.event) for message in messages} == {(0, "even"), (1, "odd")}
    assert messages[0].data["pad"] == "p" * 100


def test_an_audit_of_the_stream_finds_what_is_missing_and_what_is_there_twice(bench: Bench) -> None:
    fill(bench.server.client, 1200)
    client = bench.server.client
    entries = client.xrange(STREAM)
    client.xdel(STREAM, entries[3][0], entries[1100][0])
    client.xadd(STREAM, entries[7][1])

    assert lost_and_duplicates(numbers_on(client, STREAM), range(1200)) == (2, 1)


def test_what_was_never_asked_for_counts_as_a_duplicate(bench: Bench) -> None:
    fill(bench.server.client, 3)

    assert lost_and_duplicates(numbers_on(bench.server.client, STREAM), range(2)) == (0, 1)


def test_unsettled_are_those_pending_and_those_not_yet_delivered(bench: Bench) -> None:
    client = bench.server.client
    fill(client, 10)
    assert unsettled(client, STREAM, GROUP) == 10

    client.xgroup_create(STREAM, GROUP, "0")
    taken = client.xreadgroup(GROUP, "c", {STREAM: ">"}, count=4)[0][1]
    assert unsettled(client, STREAM, GROUP) == 10

    client.xack(STREAM, GROUP, *[entry_id for entry_id, _ in taken])
    assert unsettled(client, STREAM, GROUP) == 6
