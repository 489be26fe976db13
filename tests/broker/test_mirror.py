"""The same random calls on memory and on a real server must have the same answers and effects.

What the other tests state one by one is held here in combination. On Redis 6.2 nothing is trimmed:
it treats trimmed entries in a way of its own, which `test_trimmed` states.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from streamix_queue.core import commands
from streamix_queue.core.commands import Command, Fence
from streamix_queue.core.errors import BrokerError
from tests.broker.backends import Backend, MemoryBackend, RedisBackend

STEPS = 150
EVENTS = ("a", "b")
NAMES = ("me", "other")

Plan = Callable[["Side"], object]


class Side:
    """One backend, with its entries known by labels that are the same on both sides."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        keys = backend.keys
        self.keys = [keys.stream, keys.inbox("a"), keys.inbox("b")]
        self.members = {name: backend.consumer(name) for name in NAMES}
        self.labels: dict[tuple[int, bytes], int] = {}
        self.ids: list[dict[int, bytes]] = [{}, {}, {}]
        self.cursors = dict.fromkeys(NAMES, b"0-0")

    def label_new_entries(self) -> None:
        for number, key in enumerate(self.keys):
            for entry_id, _ in self.backend.entries(key):
                if (number, entry_id) not in self.labels:
                    label = len(self.ids[number])
                    self.labels[number, entry_id] = label
                    self.ids[number][label] = entry_id

    def label(self, number: int, entry_id: bytes) -> object:
        return self.labels.get((number, entry_id), entry_id)

    def lease(self, number: int, label: int, deliveries: int, or_absent: bool) -> Fence:
        return Fence(self.keys[number], self.ids[number][label], deliveries, or_absent)

    def state(self) -> object:
        """All that can be seen, in labels."""
        backend, keys = self.backend, self.backend.keys
        lists = []
        for number, key in enumerate(self.keys):
            pending = [(self.label(number, i), owner, n) for i, owner, n, _ in backend.pending(key)]
            lists.append(([(self.label(number, i), f) for i, f in backend.entries(key)], pending))
        fields = {keys.suspect_field(self.keys[n], i): (n, label) for (n, i), label in self.labels.items()}
        suspects = {fields[name]: starts for name, starts in backend.mapping(keys.suspects).items()}
        failed = [f for _, f in backend.entries(keys.failed)]
        return lists, sorted(backend.scores(keys.delayed)), suspects, failed


def plan_step(rng: random.Random, side: Side) -> Plan:
    """A step that can be taken on either side; ``side`` only tells what there is to choose from."""
    often = [plan_read, plan_settle, plan_settle]
    plans = [plan_add, plan_read, plan_reclaim, plan_idle, plan_trim, plan_settle, plan_renew, plan_take]
    return rng.choice([*often, *plans, plan_suspect, plan_delayed, plan_register, plan_group])(rng, side)


def plan_add(rng: random.Random, side: Side) -> Plan:
    number, count = rng.choice((0, 0, 1, 2)), rng.randint(1, 15)
    text = b"%d" % rng.randrange(10**6)

    def step(on: Side) -> object:
        return len(on.backend.publisher().add_many(on.keys[number], [[b"message", text]] * count))

    return step


def plan_read(rng: random.Random, side: Side) -> Plan:
    name, count = rng.choice(NAMES), rng.randint(1, 12)
    numbers = rng.choice(([0], [1], [0, 1, 2]))

    def step(on: Side) -> object:
        got = on.members[name].read([on.keys[n] for n in numbers], count, 0)
        return [
            (on.keys.index(key), [(on.label(on.keys.index(key), i), f) for i, f in entries])
            for key, entries in got
        ]

    return step


def plan_reclaim(rng: random.Random, side: Side) -> Plan:
    name, number, count = rng.choice(NAMES), rng.randrange(3), rng.randint(1, 4)
    from_start = rng.random() < 0.3

    def step(on: Side) -> object:
        cursor = b"0-0" if from_start else on.cursors[name]
        got = on.members[name].reclaim(on.keys[number], 60_000, cursor, count)
        on.cursors[name] = got.cursor
        entries = [(on.label(number, i), n, f) for i, n, f in got.entries]
        return on.label(number, got.cursor), entries, [on.label(number, i) for i in got.trimmed]

    return step


def _pick(rng: random.Random, side: Side) -> tuple[int, list[int]]:
    """Some entries of one stream, pending or not."""
    number = rng.randrange(3)
    labels = list(side.ids[number])[-40:]
    return number, rng.sample(labels, min(len(labels), rng.randint(1, 6)))


def plan_idle(rng: random.Random, side: Side) -> Plan:
    number, labels = _pick(rng, side)

    def step(on: Side) -> object:
        there = {i for i, _ in on.backend.entries(on.keys[number])}
        for label in labels:
            entry_id = on.ids[number][label]
            # XCLAIM, with which a real entry is made idle, drops what was trimmed.
            if entry_id in there and on.backend.owner(entry_id, on.keys[number]):
                on.backend.make_idle(on.keys[number], entry_id, 70_000)
        return None

    return step


def plan_trim(rng: random.Random, side: Side) -> Plan:
    number, labels = _pick(rng, side)

    def step(on: Side) -> object:
        for label in labels[:2]:
            on.backend.remove_entry(on.keys[number], on.ids[number][label])
        return None

    return step


def _leases(rng: random.Random, side: Side) -> Callable[[Side], list[Fence]]:
    number, labels = _pick(rng, side)
    counts = [rng.choice((0, 1, 1, 1, 2, 3)) for _ in labels]
    or_absent = rng.random() < 0.5
    return lambda on: [on.lease(number, label, n, or_absent) for label, n in zip(labels, counts, strict=True)]


def plan_settle(rng: random.Random, side: Side) -> Plan:
    name = rng.choice(NAMES)
    chosen = [
        (_leases(rng, side), rng.randrange(7), rng.choice(EVENTS), rng.randrange(10**6))
        for _ in range(rng.randint(1, 4))
    ]

    def chosen_on(on: Side) -> list[Command]:
        made: list[Command] = []
        for leases_on, kind, event, mark in chosen:
            leases = leases_on(on)
            if not leases:
                continue
            fields = [b"message", b"%d" % mark]
            made.append(
                (
                    commands.Ack(leases[0].key, [lease.entry_id for lease in leases]),
                    commands.RetryLater(leases[0], 3_600_000, event, fields),
                    commands.DeadLetter(leases[0], fields),
                    commands.HandOver(leases[0], event, fields),
                    commands.Park(leases[0], event, fields),
                    commands.HandBack(leases, 60_000),
                    commands.Absolve(leases),
                )[kind]
            )
        return made

    return lambda on: on.members[name].settle(chosen_on(on))


def plan_renew(rng: random.Random, side: Side) -> Plan:
    name, leases_on = rng.choice(NAMES), _leases(rng, side)

    def step(on: Side) -> object:
        leases = leases_on(on)
        pairs = [(lease.entry_id, lease.deliveries) for lease in leases]
        return on.members[name].renew(leases[0].key, pairs) if leases else None

    return step


def plan_take(rng: random.Random, side: Side) -> Plan:
    name, number, limit = rng.choice(NAMES), rng.randrange(3), rng.randint(1, 10)

    def step(on: Side) -> object:
        pending = on.members[name].own_pending(on.keys[number], limit)
        taken = on.members[name].take(on.keys[number], pending)
        return (
            [(on.label(number, i), n) for i, n in pending],
            [(on.label(number, i), n, f) for i, n, f in taken],
        )

    return step


def plan_suspect(rng: random.Random, side: Side) -> Plan:
    name, leases_on = rng.choice(NAMES), _leases(rng, side)
    return lambda on: [on.members[name].suspect(lease) for lease in leases_on(on)]


def plan_delayed(rng: random.Random, side: Side) -> Plan:
    name, share = rng.choice(NAMES), rng.random()

    def step(on: Side) -> object:
        delayed = on.backend.keys.delayed
        for number, member in enumerate(sorted(on.backend.scores(delayed))):
            if number % 2 == 0 or share < 0.5:
                on.backend.set_score(delayed, member, number)
        due = on.members[name].due(5).members
        return due, on.members[name].promote(due)

    return step


def plan_register(rng: random.Random, side: Side) -> Plan:
    name, events = rng.choice(NAMES), rng.sample(EVENTS, 1)
    return lambda on: on.members[name].register(events)


def plan_group(rng: random.Random, side: Side) -> Plan:
    name, number = rng.choice(NAMES), rng.randrange(3)
    destroy = rng.random() < 0.3

    def step(on: Side) -> object:
        if destroy:
            on.backend.destroy_group(on.keys[number])
            refused = attempt(lambda _: on.members[name].reclaim(on.keys[number], 0, b"0-0", 5), on)
            return refused, on.members[name].ensure_group(on.keys[number], "0")
        on.members[name].depart(on.keys)
        return on.members[name].ensure_group(on.keys[number], "0")

    return step


def attempt(step: Plan, on: Side) -> object:
    """What the step answers, or the kind of error it ends with."""
    try:
        return _comparable(step(on))
    except BrokerError as error:
        return type(error)


def _comparable(answer: object) -> object:
    if isinstance(answer, BrokerError):
        return type(answer)
    if isinstance(answer, (list, tuple)):
        return [_comparable(part) for part in answer]
    return answer


@pytest.mark.parametrize("seed", range(8))
def test_memory_mirrors_a_real_server(redis_backend: RedisBackend, seed: int) -> None:
    rng = random.Random(seed)
    memory, real = Side(MemoryBackend(redis_backend.stream)), Side(redis_backend)
    for side in (memory, real):
        for key in side.keys:
            side.members["me"].ensure_group(key, "0")

    for number in range(STEPS):
        step = plan_step(rng, memory)
        name = step.__qualname__.partition(".")[0]
        if name == plan_trim.__name__ and not redis_backend.drops_trimmed_entries:
            continue

        answers = attempt(step, memory), attempt(step, real)

        assert answers[0] == answers[1], f"step {number}, {name}"
        for side in (memory, real):
            side.label_new_entries()
        assert memory.state() == real.state(), f"after step {number}, {name}"
