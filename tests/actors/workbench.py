"""A member of a group, taken apart: every actor on the in-memory broker, stepped by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeVar

from streamix_queue.actors.alarm import Alarm
from streamix_queue.actors.fetcher import Fetcher, Prefetch
from streamix_queue.actors.planner import Planner
from streamix_queue.actors.reclaimer import Reclaimer
from streamix_queue.actors.renewer import Renewer
from streamix_queue.actors.router import Router
from streamix_queue.actors.scheduler import Scheduler
from streamix_queue.actors.settler import Settler, Unconfirmed
from streamix_queue.actors.worker import Letters
from streamix_queue.broker.memory.consumer import MemoryConsumerBroker, MemoryPublisherBroker, MemoryServer
from streamix_queue.core.backoff import Backoff
from streamix_queue.core.dead_letter import Letter, Origin, read_letter
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.facts import Fact
from streamix_queue.core.keys import Keys
from streamix_queue.core.outcome import Policy
from streamix_queue.core.registration import Registration
from streamix_queue.core.wire import MESSAGE, build, encode
from streamix_queue.held.dispatch import Dispatch
from streamix_queue.held.groups import Groups
from streamix_queue.held.pauses import Pauses
from streamix_queue.held.table import LeaseTable
from streamix_queue.runtime import Credits
from streamix_queue.telling.observers import Outage

LEASE_S = 60.0
EVENT = "order.placed"
OTHER = "order.paid"
F = TypeVar("F", bound=Fact)


def registration(event: str, *, concurrency: int = 4) -> Registration:
    return Registration(
        event=event,
        handler=lambda data: None,
        wants_message=False,
        is_async=False,
        payload_type=None,
        policy=Policy(3, Backoff(1000, 60_000, 0.0)),
        concurrency=concurrency,
        limited=False,
        timeout_s=None,
    )


class Workbench:
    """The shared parts of one member, and a way to make each of its actors.

    ``clock`` is the server's: moving it ages what is pending and makes retries due.
    """

    def __init__(
        self,
        *,
        prefetch: int = 100,
        concurrency: int = 4,
        events: Sequence[str] = (EVENT, OTHER),
        name: str = "me",
        server: MemoryServer | None = None,
    ) -> None:
        self.clock = time.time()
        self.server = server or MemoryServer(clock=lambda: self.clock)
        self.name = name
        self.keys = Keys("orders", "billing")
        self.facts: list[Fact] = []
        self.registrations = {event: registration(event, concurrency=concurrency) for event in events}
        self.credits = Credits(prefetch)
        self.leases = LeaseTable(self.credits)
        self.letters: Letters = Letters()
        self.dispatch = Dispatch(dict.fromkeys(events, concurrency), concurrency)
        self.router = Router(self.registrations, self.dispatch, self.leases, self.letters)
        self.pauses = Pauses(events, self.dispatch, self.router.park, self.facts.append)
        self.outage = Outage(self.facts.append)
        self.unconfirmed = Unconfirmed()
        self.retries, self.sweeps = Alarm(), Alarm()
        self.nudges = 0
        self.groups = Groups(self.keys, [self.keys.inbox(event) for event in events], "0", self.facts.append)
        self.me = self.broker(name)
        self.groups.create(self.me)
        self.me.register(list(events))
        self._publisher = MemoryPublisherBroker(self.server)
        self._prefetch = prefetch
        self._concurrency = concurrency

    # --- the world around -------------------------------------------------------------------------

    def broker(self, name: str) -> MemoryConsumerBroker:
        return MemoryConsumerBroker(self.server, self.keys, name)

    def publish(
        self, event: str = EVENT, data: dict[str, Any] | None = None, *, key: bytes | None = None
    ) -> str:
        """Add one message; its id."""
        message = build(event, data or {}, f"id-{time.perf_counter_ns()}", "2026-01-01T00:00:00+00:00")
        self.add([MESSAGE, encode(message, max_bytes=1 << 20)], key=key)
        return message.id

    def add(self, fields: list[bytes], *, key: bytes | None = None) -> bytes:
        return self._publisher.add(key or self.keys.stream, fields)

    def later(self, seconds: float) -> None:
        self.clock += seconds

    def pending(self, key: bytes | None = None, *, of: str = "") -> list[tuple[bytes, int]]:
        return self.broker(of or self.name).own_pending(key or self.keys.stream, 10_000)

    def dead_letters(self) -> list[Letter]:
        reader = Keys("orders:failed", "reader")
        broker = MemoryConsumerBroker(self.server, reader, "reader")
        broker.ensure_group(reader.stream, "0")
        reply = broker.read([reader.stream], 1000, 1)
        return [read_letter(fields) for _, entries in reply for _, fields in entries if fields is not None]

    def stated(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    # --- the parts ----------------------------------------------------------------------------------

    def deliver(self, count: int = 100) -> list[Delivery]:
        """Read, hold and open entries as the fetcher does; not put into any mailbox."""
        taken: list[Delivery] = []
        for key, entries in self.me.read([self.keys.stream], count, 1):
            for entry_id, fields in entries:
                assert fields is not None
                taken.append(Delivery(key, entry_id, fields, time.perf_counter(), time.monotonic()))
        self.leases.add(taken)
        for delivery in taken:
            self.router.open(delivery)
        return taken

    def fetcher(self, *, name_is_unique: bool = True, batch_size: int | None = None) -> Fetcher:
        return Fetcher(
            self.broker(self.name),
            self.outage,
            stream=self.keys.stream,
            inboxes={event: self.keys.inbox(event) for event in self.registrations},
            name_is_unique=name_is_unique,
            prefetch=Prefetch(self.credits, self._concurrency, self._prefetch),
            batch_size=batch_size,
            block_ms=1,
            credits_=self.credits,
            leases=self.leases,
            dispatch=self.dispatch,
            router=self.router,
            mend_groups=self.groups.mend,
            notice=self.facts.append,
        )

    def settler(self) -> Settler:
        return Settler(
            self.broker(self.name),
            self.outage,
            mailbox=self.letters,
            unconfirmed=self.unconfirmed,
            planner=Planner(self.keys, Origin("orders", "billing", self.name), LEASE_S),
            leases=self.leases,
            retries=self.retries,
            mend_groups=self.groups.mend,
            notice=self.facts.append,
        )

    def renewer(self) -> Renewer:
        return Renewer(
            self.broker(self.name),
            self.outage,
            lease_s=LEASE_S,
            leases=self.leases,
            events=list(self.registrations),
            notice=self.facts.append,
        )

    def reclaimer(self, *, max_deliveries: int = 3) -> Reclaimer:
        return Reclaimer(
            self.broker(self.name),
            self.outage,
            keys=[self.keys.stream, *(self.keys.inbox(event) for event in self.registrations)],
            origin=Origin("orders", "billing", self.name),
            lease_s=LEASE_S,
            max_deliveries=max_deliveries,
            name_is_unique=True,
            credits_=self.credits,
            leases=self.leases,
            dispatch=self.dispatch,
            router=self.router,
            mend_groups=self.groups.mend,
            alarm=self.sweeps,
            notice=self.facts.append,
        )

    def scheduler(self) -> Scheduler:
        return Scheduler(
            self.broker(self.name),
            self.outage,
            origin=Origin("orders", "billing", self.name),
            alarm=self.retries,
            on_nudge=self._nudged,
            on_paused=self.pauses.apply,
            notice=self.facts.append,
        )

    def _nudged(self) -> None:
        self.nudges += 1

    def close(self) -> None:
        self.me.close()
