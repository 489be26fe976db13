"""What a stream has: its holdings, its connections and the actors that work on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context

from streamix_queue.actors.executor import Executor
from streamix_queue.actors.fetcher import Fetcher, block_for
from streamix_queue.actors.janitor import Janitor
from streamix_queue.actors.reclaimer import Reclaimer
from streamix_queue.actors.renewer import Renewer
from streamix_queue.actors.scheduler import Scheduler
from streamix_queue.actors.settler import Settler, Unconfirmed
from streamix_queue.broker.protocol import ConsumerBroker, MakeBroker
from streamix_queue.consuming.crew import Crew
from streamix_queue.consuming.stages import SECONDS_TO_END, Stage
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.errors import BrokerRefused, OutOfMemory, WrongKeyType
from streamix_queue.core.facts import ConsumerStarted, ProcessInterceptor
from streamix_queue.core.registration import Registration
from streamix_queue.held.holdings import Holdings
from streamix_queue.runtime import Actor, ChildSpec
from streamix_queue.telling.observers import Notice

__all__ = ["Channel"]


class Channel:
    """One stream (or partition) for one group, on the crew of a process.

    Args:
        config: The consumer's options; ``stream`` and ``group`` are the channel's.
        registrations: Event → its handler.
        member: This member's consumer name in the group.
        crew: The workers and what they share.
        make_broker: Makes a broker for one actor.
        notice: Tells a fact to all observers.
        interceptors: Entered around each handler, outermost first.
        new_context: Makes the context that a handler runs in.
        suffix: Behind the names of the actors; ``""`` for the first channel of a process.
    """

    def __init__(
        self,
        config: ConsumerConfig,
        registrations: Mapping[str, Registration],
        member: str,
        crew: Crew,
        make_broker: MakeBroker,
        notice: Notice,
        *,
        interceptors: Sequence[ProcessInterceptor] = (),
        new_context: Callable[[], Context] = Context,
        suffix: str = "",
    ) -> None:
        self._config = config
        self._crew = crew
        self._make_broker = make_broker
        self._suffix = suffix
        self._unconfirmed = Unconfirmed()
        executor = Executor(tuple(interceptors), crew.loop, new_context=new_context)
        self.holdings = Holdings(
            config, registrations, member, crew.credits, crew.lanes, executor.run, notice
        )

    # --- one start ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Connect, make the groups and register: what must work before anything starts.

        Raises:
            BrokerError: Redis cannot be reached or refuses.
        """
        holdings, broker = self.holdings, self.broker()
        try:
            broker.connect()
            holdings.groups.create(broker)
            with suppress(OutOfMemory):  # who was here before goes on: reads and acks need no memory
                broker.register(holdings.events)
            with suppress(BrokerRefused, WrongKeyType):  # a set that cannot be read pauses nothing
                holdings.pauses.apply(broker.paused())
        finally:
            broker.close()

    def announce(self) -> None:
        """State that the channel is up."""
        config, holdings = self._config, self.holdings
        member, registrations = holdings.origin.consumer, tuple(holdings.registrations.values())
        holdings.notice(
            ConsumerStarted(config.stream, config.group, member, config.concurrency, registrations)
        )

    def depart(self) -> None:
        """Take our name out of the groups, where nothing is pending for it.

        A name that the user gave stays: it is to be seen, and may be another process's as well.
        """
        if not self.holdings.name_is_unique:
            return
        broker = self.broker()
        try:
            broker.depart(self.holdings.streams)
        finally:
            broker.close()

    # --- the actors: one line each --------------------------------------------------------------

    def specs(self) -> list[ChildSpec]:
        """The actors of this channel."""
        return [
            self._spec("renewer", self.renewer, Stage.LEASING),
            self._spec("settler", self.settler, Stage.SETTLING),
            self._spec("janitor", self.janitor, Stage.TAKING),
            self._spec("scheduler", self.scheduler, Stage.TAKING),
            self._spec("reclaimer", self.reclaimer, Stage.TAKING),
            self._spec("fetcher", self.fetcher, Stage.TAKING),
        ]

    def renewer(self) -> Renewer:
        """A new one, with a connection of its own; and so the others."""
        return Renewer(self.broker(), self.holdings)

    def settler(self) -> Settler:
        """Goes on with what the one before had not confirmed."""
        return Settler(self.broker(), self.holdings, self._unconfirmed)

    def janitor(self) -> Janitor:
        """Of the stream and of the group."""
        return Janitor(self.broker(), self.holdings)

    def scheduler(self) -> Scheduler:
        """Of retries, nudges and pauses."""
        return Scheduler(self.broker(), self.holdings)

    def reclaimer(self) -> Reclaimer:
        """Of the stream and of the inboxes."""
        return Reclaimer(self.broker(), self.holdings, self._crew.lanes)

    def fetcher(self) -> Fetcher:
        """With a connection that may block."""
        # The server's clock may step while it blocks us: a timeout of our own ends the wait.
        block_ms = block_for(self._config.block_ms, self._config.claim_idle_ms)
        broker = self.broker(timeout_s=block_ms / 1000 + 5.0)
        return Fetcher(broker, self.holdings, self._crew.prefetch)

    def broker(self, timeout_s: float = 5.0) -> ConsumerBroker:
        """One more connection, for one actor."""
        return self._make_broker(self.holdings.keys, self.holdings.origin.consumer, timeout_s)

    def _spec(self, role: str, build: Callable[[], Actor], stage: Stage) -> ChildSpec:
        return ChildSpec(role + self._suffix, build, SECONDS_TO_END, stage)
