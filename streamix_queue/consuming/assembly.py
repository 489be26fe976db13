"""The wiring of one running consumer: what is shared, and the tree of actors. No logic."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context

from streamix_queue.actors.alarm import Alarm
from streamix_queue.actors.event_loop import EventLoop
from streamix_queue.actors.executor import Executor
from streamix_queue.actors.fetcher import Fetcher, Prefetch
from streamix_queue.actors.janitor import Janitor
from streamix_queue.actors.planner import Planner
from streamix_queue.actors.reclaimer import Reclaimer
from streamix_queue.actors.renewer import Renewer
from streamix_queue.actors.router import Router
from streamix_queue.actors.scheduler import Scheduler
from streamix_queue.actors.settler import Settler, Unconfirmed
from streamix_queue.actors.worker import Letters, Worker
from streamix_queue.broker.protocol import ConsumerBroker, MakeBroker
from streamix_queue.consuming.vitals import vitals_of
from streamix_queue.core.config import ConsumerConfig, start_id
from streamix_queue.core.dead_letter import Origin
from streamix_queue.core.errors import BrokerRefused, DrainTimeout, OutOfMemory, WrongKeyType
from streamix_queue.core.facts import (
    ActorCrashed,
    ActorRestarted,
    ActorStalled,
    ConsumerStarted,
    Observer,
    ProcessInterceptor,
)
from streamix_queue.core.keys import Keys
from streamix_queue.core.registration import Registration
from streamix_queue.core.tuning import FIRST_PREFETCH
from streamix_queue.core.vitals import Vitals
from streamix_queue.held.dispatch import Dispatch
from streamix_queue.held.groups import Groups
from streamix_queue.held.pauses import Pauses
from streamix_queue.held.table import LeaseTable
from streamix_queue.runtime import (
    Actor,
    ChildCrashed,
    ChildRestarted,
    ChildSpec,
    ChildStalled,
    Credits,
    Supervisor,
)
from streamix_queue.telling.observers import Notice, Outage, fan_out

__all__ = ["Assembly", "unique_name"]

"""(keys, consumer, timeout in seconds) → a broker for one actor."""

# A stop has to wait for a read that cannot be interrupted (no right to CLIENT UNBLOCK), and a
# signal is to be obeyed within two seconds. An idle consumer still asks less than once a second.
_LONGEST_BLOCK_MS = 2000
_SECONDS_TO_END = 10.0
_LONGEST_ALONE_S = 30.0

# Sinks start first and stop last: what is finished can always be settled, and what is being
# settled is still leased. Within a stage all stop together.
_LEASING, _SETTLING, _WORKING, _TAKING = range(4)


def unique_name() -> str:
    """A consumer name that no other process has, nor this one's next start: host-pid-boot."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Assembly:
    """Everything that one start of a consumer needs; built fresh for every start.

    Attributes:
        supervisor: Runs the actors.
        name: This member's consumer name in the group.
    """

    def __init__(
        self,
        config: ConsumerConfig,
        registrations: Mapping[str, Registration],
        make_broker: MakeBroker,
        observers: Sequence[Observer] = (),
        interceptors: Sequence[ProcessInterceptor] = (),
        new_context: Callable[[], Context] = Context,
    ) -> None:
        self.name = config.consumer or unique_name()
        self.keys = Keys(config.stream, config.group)
        self.notice: Notice = fan_out(observers)
        self.credits = Credits(config.prefetch or max(FIRST_PREFETCH, config.concurrency))
        # A fetcher that is made anew must not forget how big the entries are.
        self._prefetch = Prefetch(self.credits, config.concurrency, config.prefetch)
        self._sweeps, self._retries = Alarm(), Alarm()
        self.leases = LeaseTable(self.credits, on_suspect_gone=self._sweeps.ring)
        self.letters: Letters = Letters()
        self.loop = EventLoop()
        self._config = config
        self._registrations = registrations
        self._make_broker = make_broker
        self._lease_s = config.claim_idle_ms / 1000
        self._origin = Origin(config.stream, config.group, self.name)
        self._inboxes = {event: self.keys.inbox(event) for event in registrations}
        self._outage = Outage(self.notice)
        self._unconfirmed = Unconfirmed()
        self._executor = Executor(tuple(interceptors), self.loop, new_context=new_context)
        self.dispatch = Dispatch(
            {event: registration.concurrency for event, registration in registrations.items()},
            config.concurrency,
            alone_s=min(self._lease_s, _LONGEST_ALONE_S),
            on_suspect_done=self._sweeps.ring,
        )
        self._router = Router(registrations, self.dispatch, self.leases, self.letters)
        self._pauses = Pauses(registrations, self.dispatch, self._router.park, self.notice)
        self._groups = Groups(
            self.keys, self._inboxes.values(), start_id(config.start_from), self.notice, list(registrations)
        )
        specs = self._specs()
        self._actors = [spec.name for spec in specs]
        self._stopping = False
        self.supervisor = Supervisor(specs, notice=self._heard)

    def prepare(self) -> None:
        """Connect, make the groups and register: what must work before anything starts.

        Raises:
            BrokerError: Redis cannot be reached or refuses.
        """
        broker = self._broker()
        try:
            broker.connect()
            self._groups.create(broker)
            with suppress(OutOfMemory):  # who was here before goes on: reads and acks need no memory
                broker.register(list(self._registrations))
            with suppress(BrokerRefused, WrongKeyType):  # a set that cannot be read pauses nothing
                self._pauses.apply(broker.paused())
        finally:
            broker.close()

    def stop(self) -> None:
        """Ask the tree to end, and give out no more work from this moment on.

        The supervisor first: a worker whose work has ended would else look like a crash.
        """
        self._stopping = True
        self.supervisor.stop()
        self._router.release(self.dispatch.close())

    def vitals(self) -> Vitals:
        """How it is, for gauges and probes. Any thread, at any time."""
        return vitals_of(
            self.name,
            {name: self.supervisor.child(name) for name in self._actors},
            self.dispatch,
            self.credits,
            last_look=self.supervisor.last_look,
            draining=self._stopping,
            outage_s=self._outage.seconds,
        )

    def depart(self) -> None:
        """Take our name out of the groups, where nothing is pending for it."""
        if self._config.consumer is not None:
            return  # the user's name: it is to be seen, and may be another process's as well
        broker = self._broker()
        try:
            broker.depart([self.keys.stream, *self._inboxes.values()])
        finally:
            broker.close()

    def announce(self) -> None:
        """State that the consumer is up."""
        config, registrations = self._config, tuple(self._registrations.values())
        self.notice(
            ConsumerStarted(config.stream, config.group, self.name, config.concurrency, registrations)
        )

    @property
    def abandoned(self) -> int:
        """Handlers that were still running when the time for them to end was over."""
        return sum(name.startswith("worker-") for name in self.supervisor.stuck)

    def left_over(self) -> DrainTimeout | None:
        """After the end: the error, if it was not clean."""
        timeout_ms, unsettled = self._config.drain_timeout_ms, len(self.leases)
        if self.abandoned:
            what = f"{self.abandoned} handlers were still running after drain_timeout_ms={timeout_ms}"
        elif unsettled:
            what = f"the end of {unsettled} messages could not be written to Redis"
        else:
            return None
        return DrainTimeout(f"{what}; their messages will run again when their lease has lapsed")

    # --- the tree -------------------------------------------------------------------------------

    def _specs(self) -> list[ChildSpec]:
        drain_s = self._config.drain_timeout_ms / 1000
        return [
            ChildSpec("renewer", self._renewer, _SECONDS_TO_END, _LEASING),
            ChildSpec("settler", self._settler, _SECONDS_TO_END, _SETTLING),
            *(
                ChildSpec(f"worker-{number}", self._worker(number), drain_s, _WORKING)
                for number in range(1, self._config.concurrency + 1)
            ),
            ChildSpec("janitor", self._janitor, _SECONDS_TO_END, _TAKING),
            ChildSpec("scheduler", self._scheduler, _SECONDS_TO_END, _TAKING),
            ChildSpec("reclaimer", self._reclaimer, _SECONDS_TO_END, _TAKING),
            ChildSpec("fetcher", self._fetcher, _SECONDS_TO_END, _TAKING),
        ]

    def _renewer(self) -> Actor:
        return Renewer(
            self._broker(),
            self._outage,
            lease_s=self._lease_s,
            leases=self.leases,
            events=list(self._registrations),
            notice=self.notice,
        )

    def _settler(self) -> Actor:
        return Settler(
            self._broker(),
            self._outage,
            mailbox=self.letters,
            unconfirmed=self._unconfirmed,
            planner=Planner(self.keys, self._origin, self._lease_s),
            leases=self.leases,
            retries=self._retries,
            mend_groups=self._groups.mend,
            notice=self.notice,
        )

    def _worker(self, number: int) -> Callable[[], Actor]:
        return lambda: Worker(number, self.dispatch, self._executor, self.letters, self._lease_s)

    def _janitor(self) -> Actor:
        return Janitor(
            self._broker(),
            self._outage,
            keys=self.keys,
            keep_ms=self._config.keep_ms,
            lease_s=self._lease_s,
            notice=self.notice,
        )

    def _scheduler(self) -> Actor:
        return Scheduler(
            self._broker(),
            self._outage,
            origin=self._origin,
            alarm=self._retries,
            on_nudge=self._sweep_now,
            on_paused=self._pauses.apply,
            notice=self.notice,
        )

    def _reclaimer(self) -> Actor:
        return Reclaimer(
            self._broker(),
            self._outage,
            keys=[self.keys.stream, *self._inboxes.values()],
            origin=self._origin,
            lease_s=self._lease_s,
            max_deliveries=self._config.max_deliveries,
            name_is_unique=self._config.consumer is None,
            credits_=self.credits,
            leases=self.leases,
            dispatch=self.dispatch,
            router=self._router,
            mend_groups=self._groups.mend,
            alarm=self._sweeps,
            notice=self.notice,
        )

    def _fetcher(self) -> Actor:
        # A lease counts from before the read, so a read must not take up much of one.
        block_ms = min(self._config.block_ms, _LONGEST_BLOCK_MS, max(1, self._config.claim_idle_ms // 4))
        return Fetcher(
            # The server's clock may step while it blocks us: our own timeout ends the wait.
            self._broker(timeout_s=block_ms / 1000 + 5.0),
            self._outage,
            stream=self.keys.stream,
            inboxes=self._inboxes,
            name_is_unique=self._config.consumer is None,
            prefetch=self._prefetch,
            batch_size=self._config.batch_size,
            block_ms=block_ms,
            credits_=self.credits,
            leases=self.leases,
            dispatch=self.dispatch,
            router=self._router,
            mend_groups=self._groups.mend,
            notice=self.notice,
        )

    def _broker(self, timeout_s: float = 5.0) -> ConsumerBroker:
        return self._make_broker(self.keys, self.name, timeout_s)

    def _sweep_now(self) -> None:
        reclaimer = self.supervisor.child("reclaimer")
        if isinstance(reclaimer, Reclaimer):
            reclaimer.sweep_now()

    def _heard(self, event: object) -> None:
        """What the supervisor says, as facts."""
        if isinstance(event, ChildCrashed):
            self.notice(ActorCrashed(event.name, type(event.error).__name__, event.traceback))
        elif isinstance(event, ChildRestarted):
            self.notice(ActorRestarted(event.name, event.attempt))
        elif isinstance(event, ChildStalled):
            self.notice(ActorStalled(event.name, event.seconds))
