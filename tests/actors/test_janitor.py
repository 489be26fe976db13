"""The janitor: what it trims and clears, for whom, and what it does about refusals."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import pytest

from streamix_queue.actors.janitor import Janitor, look_every
from streamix_queue.broker.memory.consumer import MemoryConsumerBroker
from streamix_queue.broker.memory.store import Hash, MemoryServer, Stream, Text, parse_id
from streamix_queue.core import commands
from streamix_queue.core.errors import BrokerRefused, BrokerUnavailable, OutOfMemory
from streamix_queue.core.facts import (
    BrokerDown,
    BrokerUp,
    NamesRemoved,
    PinsSeen,
    StreamPinned,
    StreamTrimmed,
    StreamUnpinned,
    UpkeepRefused,
)
from streamix_queue.core.keys import Keys
from tests.actors.workbench import EVENT, Workbench

HOUR_S = 3600.0
DAY_MS = 86_400_000


def member(bench: Workbench, keys: Keys, name: str) -> MemoryConsumerBroker:
    return MemoryConsumerBroker(bench.server, keys, name)


def janitor(
    bench: Workbench, *, name: str = "me", keep_ms: int | None = 0, keys: Keys | None = None
) -> Janitor:
    holdings = copy(bench.channel.holdings)
    holdings.keys = keys or bench.keys
    holdings.config = replace(holdings.config, keep_ms=keep_ms)
    return Janitor(member(bench, holdings.keys, name), holdings)


def handled(bench: Workbench, count: int) -> list[bytes]:
    """Messages that our group is done with; the ids of all entries that are on the stream then."""
    for _ in range(count):
        bench.publish()
    for key, entries in bench.me.read([bench.keys.stream], 10_000, 1):
        bench.me.settle([commands.Ack(key, [entry_id for entry_id, _ in entries])])
    return left(bench)


def left(bench: Workbench, key: bytes | None = None) -> list[bytes]:
    with bench.server.data() as store:
        stream = store.get(key or bench.keys.stream, Stream) or Stream()
        return [b"%d-%d" % entry_id for entry_id in stream.entries]


def test_a_stream_is_trimmed_to_what_is_needed_step_by_step(bench: Workbench) -> None:
    ids = handled(bench, 3000)
    bench.later(1)

    janitor(bench).run_once()

    assert left(bench) == ids[-1:]
    assert [(fact.count, fact.length) for fact in bench.stated(StreamTrimmed)] == [(2999, 1)]


def test_by_default_a_day_is_kept(bench: Workbench) -> None:
    old = handled(bench, 5)
    bench.later(HOUR_S * 23)
    handled(bench, 5)
    one = janitor(bench, keep_ms=DAY_MS)
    one.run_once()
    assert len(left(bench)) == 10

    bench.later(HOUR_S * 2)
    one.run_once()

    assert len(left(bench)) == 5
    assert not set(old) & set(left(bench))


def test_with_keep_none_nothing_is_trimmed_by_anybody(bench: Workbench) -> None:
    handled(bench, 5)
    bench.later(HOUR_S)
    other = Keys(bench.keys.stream_name, "other")
    member(bench, other, "x").ensure_group(other.stream, "$")

    janitor(bench, keep_ms=None).run_once()
    janitor(bench, name="x", keys=other).run_once()

    assert len(left(bench)) == 5


def test_dead_letters_are_never_trimmed(bench: Workbench) -> None:
    for _ in range(5):
        bench.add([b"message", b"{}"], key=bench.keys.failed)
    handled(bench, 5)
    bench.later(HOUR_S * 1000)

    janitor(bench).run_once()

    assert len(left(bench, bench.keys.failed)) == 5


def test_only_one_member_works_at_a_time(bench: Workbench) -> None:
    handled(bench, 5)
    bench.later(1)
    bench.broker("peer").take_duty(0, 60_000)

    janitor(bench).run_once()
    assert len(left(bench)) == 5

    bench.later(61)
    janitor(bench).run_once()
    assert len(left(bench)) == 1


def test_who_loses_the_turn_half_way_leaves_the_rest_to_the_other(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled(bench, 3000)
    bench.later(1)
    one = janitor(bench)
    one._duty_until = 0.0
    trim = one.broker.trim

    def trim_and_lose_the_turn(*args: int) -> object:
        with bench.server.data() as store:
            lock = Text(b"peer")
            lock.until_ms = bench.server.now_ms() + 60_000
            store.keys[bench.keys.janitor] = lock
        one._duty_until = 0.0
        return trim(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(one.broker, "trim", trim_and_lose_the_turn)

    one.run_once()

    assert len(bench.stated(StreamTrimmed)) == 1
    assert len(left(bench)) == 2500


def test_a_janitor_that_is_to_stop_ends_between_two_steps(bench: Workbench) -> None:
    handled(bench, 3000)
    bench.later(1)
    one = janitor(bench)
    one.stop()

    one.run_once()

    assert len(left(bench)) == 2500


def test_a_pinning_group_is_named_once_and_so_is_the_end_of_it(bench: Workbench) -> None:
    other = Keys(bench.keys.stream_name, "abandoned")
    abandoned = member(bench, other, "x")
    abandoned.ensure_group(other.stream, "0")
    handled(bench, 5)
    one = janitor(bench)
    one.run_once()
    assert bench.stated(StreamPinned) == []

    bench.later(2 * HOUR_S)
    one.run_once()
    one.run_once()

    (fact,) = bench.stated(StreamPinned)
    assert [(pin.group, pin.pending) for pin in fact.pins] == [("abandoned", 0)]
    assert fact.pins[0].age_s == pytest.approx(2 * HOUR_S, abs=1)
    assert bench.stated(StreamUnpinned) == []

    for _, entries in abandoned.read([other.stream], 100, 1):
        abandoned.settle([commands.Ack(other.stream, [entry_id for entry_id, _ in entries])])
    one.run_once()
    one.run_once()

    assert len(bench.stated(StreamUnpinned)) == 1
    assert len(left(bench)) == 1


def test_the_pins_of_every_look_are_told_and_taken_back_when_another_member_looks(bench: Workbench) -> None:
    """Fails when a member that lost its share leaves its gauge standing: the alert would never end."""
    other = Keys(bench.keys.stream_name, "abandoned")
    member(bench, other, "x").ensure_group(other.stream, "0")
    handled(bench, 5)
    one, two = janitor(bench), janitor(bench, name="two")
    bench.later(2 * HOUR_S)
    one.run_once()
    bench.later(60)
    one.run_once()
    assert [[pin.group for pin in fact.pins] for fact in bench.stated(PinsSeen)] == [["abandoned"]] * 2

    bench.later(600)
    two.run_once()
    one.run_once()

    seen = bench.stated(PinsSeen)
    assert [[pin.group for pin in fact.pins] for fact in seen[2:]] == [["abandoned"], []]


def test_acked_remains_of_inboxes_are_cleared(bench: Workbench) -> None:
    key = bench.keys.inbox(EVENT)
    ids = [bench.add([b"message", b"x"], key=key) for _ in range(3)]
    bench.me.read([key], 3, 1)
    with bench.server.data() as store:
        store.ack(key, bench.keys.group, [parse_id(entry_id) for entry_id in ids[:2]], delete=False)
    bench.later(1)

    janitor(bench).run_once()

    assert left(bench, key) == ids[2:]


def test_names_of_the_dead_are_removed_after_an_hour(bench: Workbench) -> None:
    peer = bench.broker("peer")
    peer.read([bench.keys.stream], 1, 1)
    one = janitor(bench)
    one.run_once()
    assert bench.stated(NamesRemoved) == []

    bench.later(HOUR_S + 1)
    janitor(bench).run_once()

    assert [fact.names for fact in bench.stated(NamesRemoved)] == [("peer",)]


def test_suspects_that_ended_unseen_are_forgotten(bench: Workbench) -> None:
    with bench.server.data() as store:
        store.grow(bench.keys.suspects, Hash)[b"5-5"] = b"1 2"

    janitor(bench).run_once()

    with bench.server.data() as store:
        assert store.get(bench.keys.suspects, Hash) == {}


def test_chores_are_for_once_a_minute(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    one = janitor(bench)
    operation = MemoryServer.operation

    def watched(server: MemoryServer, name: str) -> object:
        asked.append(name)
        return operation(server, name)

    monkeypatch.setattr(MemoryServer, "operation", watched)
    one.run_once()
    busy, asked[:] = list(asked), []
    one.run_once()

    assert {"remove_idle", "forget_suspects", "registered"} < set(busy)
    assert asked == ["take_duty", "trim"], "an idle stream costs two commands"


@pytest.mark.parametrize("error", [BrokerRefused, OutOfMemory])
@pytest.mark.parametrize("operation", ["take_duty", "trim", "registered", "remove_idle", "forget_suspects"])
def test_a_refusal_is_told_once_and_is_no_outage(
    bench: Workbench, operation: str, error: type[Exception]
) -> None:
    one = janitor(bench)
    for _ in range(4):
        bench.server.fail_next(operation, error("NOPERM"))
    for _ in range(2):
        one._next_chores = 0.0
        one.run_once()

    told = bench.stated(UpkeepRefused)
    assert len({fact.chore for fact in told}) == len(told) >= 1
    assert {fact.error_type for fact in told} == {error.__name__}
    assert bench.stated(BrokerDown) == []


def test_a_refusal_that_comes_again_after_it_worked_is_told_again(bench: Workbench) -> None:
    one = janitor(bench)
    for refused in (True, False, True):
        if refused:
            bench.server.fail_next("trim", BrokerRefused("NOPERM"))
        one.run_once()

    assert [fact.chore for fact in bench.stated(UpkeepRefused)].count("trim") == 2


def test_a_refusal_of_one_chore_leaves_the_others(bench: Workbench) -> None:
    bench.server.fail_next("trim", BrokerRefused("NOPERM"))
    peer = bench.broker("peer")
    peer.read([bench.keys.stream], 1, 1)
    bench.later(HOUR_S + 1)

    janitor(bench).run_once()

    assert len(bench.stated(NamesRemoved)) == 1


def test_an_outage_is_over_as_soon_as_the_janitor_has_an_answer(bench: Workbench) -> None:
    one = janitor(bench)
    one._wait_s = 0.01
    bench.server.fail_next("take_duty", BrokerUnavailable("gone"))
    with pytest.raises(BrokerUnavailable) as caught:
        one.step()
    one.on_transient(caught.value, 1)
    assert len(bench.stated(BrokerDown)) == 1

    assert one._wait_s == 0.0, "it looks again at once, and not after the usual wait"
    one.step()

    assert len(bench.stated(BrokerUp)) == 1


@pytest.mark.parametrize(
    ("keep_ms", "seconds"), [(None, 15.0), (DAY_MS, 15.0), (60_000, 6.0), (1000, 1.0), (0, 1.0)]
)
def test_a_short_keep_is_looked_after_more_often(keep_ms: int | None, seconds: float) -> None:
    assert look_every(keep_ms) == seconds
