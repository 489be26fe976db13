"""The library with one mechanism taken out, to show that a test notices.

Set ``STREAMIX_TEST_MUTANT`` to a name below and run the tests of a mechanism: each whose docstring
says "Fails when …" has to fail under the mutant that it names. `run_mutants` does so for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from streamix_queue.actors.fetcher import Fetcher
from streamix_queue.actors.planner import Planner
from streamix_queue.actors.reclaimer import Reclaimer
from streamix_queue.actors.renewer import Renewer
from streamix_queue.actors.settler import Settler
from streamix_queue.actors.suspects import Suspects
from streamix_queue.actors.worker import Worker
from streamix_queue.broker.redis import consumer as redis
from streamix_queue.broker.redis import settle as redis_settle
from streamix_queue.broker.redis.link import Script
from streamix_queue.core.answer_times import AnswerTimes
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.entry import Entry
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.outcome import ACK
from streamix_queue.held.channel_lanes import ChannelLanes
from streamix_queue.held.endings import Endings
from streamix_queue.held.router import Router
from streamix_queue.held.table import HeldTable

__all__ = ["MUTANTS", "apply"]


def apply(name: str) -> None:
    """Break this process's copy of the library in the way of ``name``; "" leaves it whole."""
    if name:
        MUTANTS[name]()


def _renewals_off() -> None:
    """A lease lasts as long as it was taken for."""
    _patch(Renewer, "run_once", lambda renewer: 0)


def _reclaim_off() -> None:
    """What a dead process held stays with it."""
    _patch(Reclaimer, "run_once", lambda reclaimer: 3600.0)


def _fence_off() -> None:
    """Whoever once held an entry may write its retry and its dead letter."""
    _edit(redis_settle, "_RETRY_LATER", "if not blocked(answer, ARGV[i + 2]) then", "if true then")
    _edit(redis_settle, "_DEAD_LETTER", "if blocked(stands, ARGV[5]) then return stands end\n", "")
    plan = Planner.plan

    def plan_all(planner: Planner, deliveries: Sequence[Attempt], **named: Any) -> Any:
        for attempt in deliveries:
            attempt.lease.lost = False
        return plan(planner, deliveries, **named)

    _patch(Planner, "plan", plan_all)


def _late_success_dropped() -> None:
    """A success whose lease was lost is thrown away, as a failure is."""
    post = Worker._post

    def drop_lost(worker: Worker, endings: Endings, finished: list[Attempt]) -> None:
        post(worker, endings, [d for d in finished if d.lease.good(time.monotonic())])

    _patch(Worker, "_post", drop_lost)


def _suspects_off() -> None:
    """A message that comes back is run like any other, beside others and uncounted."""

    def accept(reclaimer: Reclaimer, taken: Sequence[Entry], asked_at: float, deleted: int = 0) -> None:
        reclaimer._holdings.router.route(taken, asked_at)

    _patch(Reclaimer, "_accept", accept)


def _suspects_together() -> None:
    """Suspects are counted, and then run beside all others."""

    def put_together(lanes: ChannelLanes, delivery: Attempt) -> bool:
        return not lanes.put([delivery])

    _patch(ChannelLanes, "put_suspect", put_together)
    _patch(Suspects, "may_start", lambda suspects: True)


def _starts_uncounted() -> None:
    """A suspect runs alone, as often as it likes."""
    _patch(redis.RedisConsumerBroker, "suspect", lambda broker, lease: 1)


def _counted_when_taken() -> None:
    """A suspect is blamed each time it is taken up, whether it then began or not."""
    _edit(redis, "_SUSPECT", "if counted ~= ARGV[4] then", "if true then")


def _stale_counted() -> None:
    """A suspect is started though its lease may have lapsed; the worker then declines."""
    _patch(Lease, "young", lambda lease, now: True)


def _suspects_in_a_hurry() -> None:
    """A suspect begins before the end of the one before is in Redis."""
    _patch(Suspects, "may_start", lambda suspects: suspects._lanes.room_for_suspect())


def _held_twice() -> None:
    """An entry that is in hand and comes back is run a second time."""
    hold = HeldTable.hold

    def hold_again(table: HeldTable, entries: Sequence[Entry], proved_at: float) -> list[Attempt]:
        held = hold(table, entries, proved_at)
        new = {delivery.entry.id for delivery in held}
        twice = [entry for entry in entries if entry.id not in new]
        return [*held, *(_delivery(entry, table._terms, proved_at) for entry in twice)]

    _patch(HeldTable, "hold", hold_again)


def _delivery(entry: Entry, terms: Terms, proved_at: float) -> Attempt:
    return Attempt(entry, Lease(entry, terms, entry.deliveries, proved_at))


def _unconfirmed_forgotten() -> None:
    """What was sent to be settled, and whose reply was lost, is not sent again."""
    _patch(Settler, "_to_be_resent", lambda settler, batch: False)


def _ack_apart() -> None:
    """A retry or dead letter is written and the ack never follows, as after a death between the two."""
    for script in ("_RETRY_LATER", "_DEAD_LETTER"):
        _edit(redis_settle, script, "redis.call('XACK', key, group, id)\n", "")
        _edit(redis_settle, script, "if inbox == '1' then redis.call('XDEL', key, id) end\n", "")


def _held_on() -> None:
    """What waits is started, however long ago its lease has lapsed."""
    _patch(Lease, "good", lambda lease, now: not lease.lost)


def _name_trusted() -> None:
    """What is pending under a name that the user gave is taken for this process's own."""
    _after_init(Fetcher, lambda fetcher: setattr(fetcher._holdings, "name_is_unique", True))


def _no_grace() -> None:
    """After an outage members reclaim at once, whether the owners could renew or not."""
    _patch(Reclaimer, "_redis_was_there", lambda reclaimer: True)
    _patch(AnswerTimes, "latest_ms", lambda times, now: None)


def _ack_first() -> None:
    """An entry is acked as it comes in, before its handler runs."""
    route = Router.route

    def ack_and_route(router: Router, entries: Sequence[Entry], proved_at: float) -> None:
        early = [_delivery(entry, router._table._terms, proved_at) for entry in entries]
        router._endings.end(early, ACK)
        route(router, entries, proved_at)

    _patch(Router, "route", ack_and_route)


def _edit(module: ModuleType, script: str, old: str, new: str) -> None:
    """Change a Lua script of the broker."""
    text = getattr(module, script).text.decode()
    assert old in text, f"{script} has changed: mend the mutant"
    edited = Script(text.replace(old, new))
    setattr(module, script, edited)
    redis_settle._BY_DIGEST[edited.digest] = edited


def _after_init(owner: type, change: Callable[[Any], None]) -> None:
    init = owner.__init__  # type: ignore[misc]

    def init_and_change(self: Any, *positional: Any, **named: Any) -> None:
        init(self, *positional, **named)
        change(self)

    _patch(owner, "__init__", init_and_change)


def _patch(owner: type, name: str, replacement: Callable[..., Any]) -> None:
    assert hasattr(owner, name), f"{owner.__name__}.{name} is gone: mend the mutant"
    setattr(owner, name, replacement)


MUTANTS: dict[str, Callable[[], None]] = {
    "renewals_off": _renewals_off,
    "reclaim_off": _reclaim_off,
    "fence_off": _fence_off,
    "late_success_dropped": _late_success_dropped,
    "suspects_off": _suspects_off,
    "suspects_together": _suspects_together,
    "starts_uncounted": _starts_uncounted,
    "counted_when_taken": _counted_when_taken,
    "stale_counted": _stale_counted,
    "suspects_in_a_hurry": _suspects_in_a_hurry,
    "held_twice": _held_twice,
    "unconfirmed_forgotten": _unconfirmed_forgotten,
    "ack_apart": _ack_apart,
    "held_on": _held_on,
    "name_trusted": _name_trusted,
    "no_grace": _no_grace,
    "ack_first": _ack_first,
}
