"""A member of a group, taken apart: every actor on the in-memory broker, stepped by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from streamix_queue import Consumer
from streamix_queue.actors.fetcher import Fetcher
from streamix_queue.actors.reclaimer import Reclaimer
from streamix_queue.actors.renewer import Renewer
from streamix_queue.actors.scheduler import Scheduler
from streamix_queue.actors.settler import Settler
from streamix_queue.broker.memory.consumer import MemoryConsumerBroker, MemoryPublisherBroker, MemoryServer
from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.consuming.channel import Channel
from streamix_queue.consuming.crew import Crew
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.backoff import Backoff
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.dead_letter import Letter, read_letter
from streamix_queue.core.entry import Entry, entry_of
from streamix_queue.core.facts import Fact
from streamix_queue.core.keys import Keys
from streamix_queue.core.outcome import Policy
from streamix_queue.core.registration import Registration
from streamix_queue.core.wire import MESSAGE, build, encode

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
    """A channel and its crew as the library wires them, and a way to make each of its actors.

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
        stream: str = "orders",
        beside: Workbench | None = None,
    ) -> None:
        """``beside`` is another channel of the same process: this one is on its crew."""
        self.clock = time.time()
        self.server = server or MemoryServer(clock=lambda: self.clock)
        self.name = name
        self.facts: list[Fact] = []
        self._config = Consumer(
            stream=stream,
            group="billing",
            concurrency=concurrency,
            prefetch=prefetch,
            block_ms=1,
            claim_idle_ms=round(LEASE_S * 1000),
        )._config
        self._registrations = {event: registration(event, concurrency=concurrency) for event in events}
        self.crew: Crew = beside.crew if beside is not None else Crew(self._config)
        self.channel = self._channel(self._config)
        self._publisher = MemoryPublisherBroker(self.server)
        self.me = self.broker(name)
        self.channel.prepare()

    def _channel(self, config: ConsumerConfig) -> Channel:
        return Channel(
            config, self._registrations, self.name, self.crew, self._make_broker, self.facts.append
        )

    def _make_broker(self, keys: Keys, consumer: str, timeout_s: float) -> ConsumerBroker:
        return MemoryConsumerBroker(self.server, keys, consumer)

    # --- what the actors share --------------------------------------------------------------------

    @property
    def keys(self) -> Keys:
        return self.channel.holdings.keys

    @property
    def events(self) -> Sequence[str]:
        return self.channel.holdings.events

    def __getattr__(self, name: str) -> Any:
        """A part of the holdings (``table``, ``lanes``, …), or what makes an actor (``settler``, …)."""
        if name in ("channel", "_config"):
            raise AttributeError(name)
        owner = self.channel if hasattr(Channel, name) else self.channel.holdings
        return getattr(owner, name)

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
        reader = Keys(f"{self._config.stream}:failed", "reader")
        broker = MemoryConsumerBroker(self.server, reader, "reader")
        broker.ensure_group(reader.stream, "0")
        reply = broker.read([reader.stream], 1000, 1)
        return [read_letter(fields) for _, entries in reply for _, fields in entries if fields is not None]

    def stated(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def waiting(self) -> list[Attempt]:
        """What waits in the lanes; they are closed with it, and it is on its way back."""
        before = len(self.endings)
        self.crew.lanes.close()
        lists = self.endings.get_many(1000, 0.0) if len(self.endings) else []
        self.endings.put_many(lists)
        return [attempt for deliveries in lists[before:] for attempt in deliveries]

    # --- the parts ----------------------------------------------------------------------------------

    def deliver(self, count: int = 100) -> list[Attempt]:
        """Read, hold and open entries as the fetcher does; not put into any lane."""
        taken: list[Entry] = []
        asked_at = time.monotonic()
        for key, entries in self.me.read([self.keys.stream], count, 1):
            for entry_id, fields in entries:
                assert fields is not None
                taken.append(entry_of(key, entry_id, tuple(fields), 1, "new", time.perf_counter()))
        held: list[Attempt] = self.table.hold(taken, asked_at)
        for attempt in held:
            attempt.open(self._registrations)
        return held

    def fetcher(self, *, name_is_unique: bool = True, batch_size: int | None = None) -> Fetcher:
        self.channel.holdings.config = replace(self._config, batch_size=batch_size)
        self.channel.holdings.name_is_unique = name_is_unique
        return self.channel.fetcher()

    def reclaimer(self, *, max_deliveries: int = 3) -> Reclaimer:
        self.channel.holdings.config = replace(self._config, max_deliveries=max_deliveries)
        return self.channel.reclaimer()

    def settler(self) -> Settler:
        return self.channel.settler()

    def renewer(self) -> Renewer:
        return self.channel.renewer()

    def scheduler(self) -> Scheduler:
        return self.channel.scheduler()

    def close(self) -> None:
        self.me.close()
