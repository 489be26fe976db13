"""One start of a consumer: from the first connection to the last settlement."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping

from streamix_queue.broker.protocol import MakeBroker
from streamix_queue.composition import Session
from streamix_queue.consuming.channel import Channel
from streamix_queue.consuming.crew import Crew
from streamix_queue.consuming.vitals import vitals_of
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.errors import BrokerError, DrainTimeout, RestartsExceeded
from streamix_queue.core.facts import (
    ActorCrashed,
    ActorOverran,
    ActorRestarted,
    ActorStalled,
    ActorStarted,
    Drained,
    Draining,
)
from streamix_queue.core.registration import Registration, leave_a_thread_for_others
from streamix_queue.core.vitals import Vitals, is_worker
from streamix_queue.runtime import (
    ChildCrashed,
    ChildOverran,
    ChildRestarted,
    ChildStalled,
    ChildStarted,
    Supervisor,
)
from streamix_queue.telling.observers import Notice, fan_out

__all__ = ["Run", "unique_name"]


def unique_name() -> str:
    """A consumer name that no other process has, nor this one's next start: host-pid-boot."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Run:
    """Thread-safe. Made for one start, and never started again.

    Args:
        config: The consumer's options.
        registrations: Event → its handler.
        make_broker: Makes a broker for one actor.
        session: What watches this start; closed with it.
        on_end: Called on the supervisor's thread when all is over.

    Attributes:
        name: This member's consumer name in the group.
        failure: What ended it, if not `stop`; written by the supervisor's thread before it ends.
    """

    def __init__(
        self,
        config: ConsumerConfig,
        registrations: Mapping[str, Registration],
        make_broker: MakeBroker,
        session: Session,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = config.consumer or unique_name()
        self.failure: BaseException | None = None
        self._config = config
        self._session = session
        self._on_end = on_end
        self._notice: Notice = fan_out(session.observers)
        self._lock = threading.Lock()
        self._stopping_since: float | None = None  # time.monotonic(), guarded by the lock
        self.crew = Crew(config)
        self.channel = Channel(
            config,
            leave_a_thread_for_others(registrations, config.concurrency),
            self.name,
            self.crew,
            make_broker,
            self._notice,
            interceptors=session.interceptors,
            new_context=session.new_context,
        )
        self.supervisor = Supervisor(
            [*self.channel.specs(), *self.crew.specs()], notice=self._heard, give_up=RestartsExceeded
        )
        self._thread = threading.Thread(target=self._supervise, name="streamix.supervisor", daemon=True)

    def start(self) -> None:
        """Connect, make what is missing, and start the threads; returns then.

        Raises:
            BrokerError: Redis cannot be reached or refuses.
            ConfigError: the port for metrics cannot be had.
        """
        try:
            self._session.open(self.vitals)
            self.channel.prepare()
            self.channel.announce()
            self.supervisor.start()
            self._begin_to_supervise()
        except BaseException:  # Ctrl-C as well: the connections and the port were had by now
            self._session.close()
            raise

    def _begin_to_supervise(self) -> None:
        try:
            self._thread.start()
        except BaseException:  # no thread could be had: end the actors from this one
            self.supervisor.stop()
            self.crew.lanes.close()
            self.supervisor.run()
            raise

    def ask_to_stop(self) -> None:
        """Take nothing more, and return at once. Any thread, a handler's included."""
        with self._lock:
            if self._stopping_since is not None:
                return
            self._stopping_since = time.monotonic()
        self._notice(Draining(self.crew.lanes.running(), self._config.drain_timeout_ms / 1000))
        # The supervisor first: a worker whose work has ended would else look like a crash.
        self.supervisor.stop()
        self.crew.lanes.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, for ``timeout`` seconds at most; whether it is."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def over(self) -> bool:
        """True when everything has ended."""
        return not self._thread.is_alive()

    @property
    def port(self) -> int | None:
        """The port that metrics and probes are served on; None if they are not."""
        return self._session.port

    def vitals(self) -> Vitals:
        """How it is, for gauges and probes. Any thread, at any time."""
        supervisor = self.supervisor
        return vitals_of(
            self.name,
            {name: supervisor.child(name) for name in supervisor.names()},
            self.crew,
            self.channel.holdings.lanes.depths(),
            last_look=supervisor.last_look,
            draining=self._stopping_since is not None,
            outage_s=self.channel.holdings.outage.seconds,
        )

    # --- the supervisor's thread ----------------------------------------------------------------

    def _supervise(self) -> None:
        """From the start to the last settlement."""
        try:
            self.supervisor.run()
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            self.failure = error
        since = self._stopping_since or time.monotonic()
        workers = sum(map(is_worker, self.supervisor.overran))
        try:
            if self.failure is None:
                self.failure = self._left_over(workers)
            if not self.supervisor.overran:
                self.crew.loop.close()
                self.channel.depart()
        except BrokerError:
            pass  # Redis is away: the name stays behind, and is removed when it has been idle
        finally:
            self._notice(Drained(workers, time.monotonic() - since))
            self._session.close()
            self._on_end()

    def _left_over(self, workers: int) -> DrainTimeout | None:
        """The error, if the end was not clean."""
        timeout_ms, unsettled = self._config.drain_timeout_ms, len(self.channel.holdings.table)
        if workers:
            what = f"{workers} handlers were still running after drain_timeout_ms={timeout_ms}"
        elif unsettled:
            what = f"the end of {unsettled} messages could not be written to Redis"
        else:
            return None
        return DrainTimeout(f"{what}; their messages will run again when their lease has lapsed")

    def _heard(self, event: object) -> None:
        """What the supervisor says, as facts."""
        if isinstance(event, ChildStarted):
            self._notice(ActorStarted(event.name))
        elif isinstance(event, ChildCrashed):
            self._notice(ActorCrashed(event.name, type(event.error).__name__, event.traceback))
        elif isinstance(event, ChildRestarted):
            self._notice(ActorRestarted(event.name, event.attempt))
        elif isinstance(event, ChildStalled):
            self._notice(ActorStalled(event.name, event.seconds))
        elif isinstance(event, ChildOverran):
            self._notice(ActorOverran(event.name, event.seconds))
