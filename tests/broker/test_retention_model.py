"""Trimming against a model of what each group needs: random groups, random work, random steps."""

from __future__ import annotations

import random

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core import commands
from tests.broker.back_doors import trimming_entry_by_entry
from tests.broker.backends import Backend, eventually
from tests.broker.trimming import left, take, trim


class Model:
    """What each group has to do yet, known without asking the server."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.members: dict[str, ConsumerBroker] = {}
        self.unread: dict[str, list[bytes]] = {}
        self.pending: dict[str, list[bytes]] = {}

    def publish(self, count: int) -> None:
        added = [self.backend.add(self.backend.keys.stream, b"message", b"x") for _ in range(count)]
        for unread in self.unread.values():
            unread.extend(added)

    def join(self, group: str) -> None:
        if group not in self.members:
            self.members[group] = take(self.backend, group, 0)
            self.unread[group], self.pending[group] = left(self.backend), []

    def read(self, group: str, count: int) -> None:
        got = [i for i, _ in self.backend.read(self.members[group], count)]
        assert got == self.unread[group][:count]
        del self.unread[group][:count]
        self.pending[group] += got

    def ack(self, group: str, ids: list[bytes]) -> None:
        if ids:
            self.members[group].settle([commands.Ack(self.backend.keys.stream, ids)])
            self.pending[group] = [i for i in self.pending[group] if i not in ids]

    @property
    def needed(self) -> set[bytes]:
        return {i for held in (*self.unread.values(), *self.pending.values()) for i in held}


@pytest.mark.parametrize("seed", range(4))
def test_whatever_groups_do_only_what_nobody_needs_goes(backend: Backend, seed: int) -> None:
    with trimming_entry_by_entry(backend):
        act_at_random(backend, seed)


def act_at_random(backend: Backend, seed: int) -> None:
    rng, model = random.Random(seed), Model(backend)
    model.join("group0")
    for _ in range(150):
        group = rng.choice(list(model.members))
        act = rng.randrange(8)
        if act < 2:
            model.publish(rng.randint(1, 9))
        elif act < 4:
            model.read(group, rng.randint(1, 20))
        elif act < 7:
            model.ack(group, [i for i in model.pending[group] if rng.random() < 0.6])
        else:
            model.join(f"group{rng.randrange(12)}")
        if rng.random() < 0.3:
            trim(backend, limit=rng.choice((3, 1000)))
        assert model.needed <= set(left(backend))

    for group in model.members:
        model.read(group, 10_000)
        model.ack(group, model.pending[group])
    trim(backend)
    # (With `keep_ms=0` the entries of this very millisecond are still to be kept.)
    eventually(lambda: not trim(backend).removed and len(left(backend)) == 1)
