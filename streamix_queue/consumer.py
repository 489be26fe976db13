"""`Consumer` and `consume()`: the public door to the runtime."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamix_queue.composition import Telemetry, redis_broker_factory, watched
from streamix_queue.consuming.run import Run
from streamix_queue.core.config import ConsumerConfig, EventOptions
from streamix_queue.core.errors import ConfigError, DrainTimeout, StreamixError
from streamix_queue.core.facts import Observer, ProcessInterceptor
from streamix_queue.core.options import given
from streamix_queue.core.registration import (
    Registration,
    make_registration,
    with_concurrency,
)
from streamix_queue.signals import Signals

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Consumer", "consume", "run"]

H = TypeVar("H", bound=Callable[..., Any])
_LOOK_AGAIN_S = 0.5


def consume(
    event: str,
    handler: Callable[..., Any],
    *,
    redis_url: str = ConsumerConfig.redis_url,
    stream: str = ConsumerConfig.stream,
    group: str = ConsumerConfig.group,
    consumer: str | None = ConsumerConfig.consumer,
    retry_limit: int = ConsumerConfig.retry_limit,
    batch_size: int | None = ConsumerConfig.batch_size,
    block_ms: int = ConsumerConfig.block_ms,
    claim_idle_ms: int = ConsumerConfig.claim_idle_ms,
    concurrency: int = ConsumerConfig.concurrency,
    prefetch: int | None = ConsumerConfig.prefetch,
    backoff_base_ms: int = ConsumerConfig.backoff_base_ms,
    backoff_max_ms: int = ConsumerConfig.backoff_max_ms,
    backoff_jitter: float = ConsumerConfig.backoff_jitter,
    start_from: str | datetime = ConsumerConfig.start_from,
    drain_timeout_ms: int = ConsumerConfig.drain_timeout_ms,
    max_deliveries: int = ConsumerConfig.max_deliveries,
    keep_ms: int | None = ConsumerConfig.keep_ms,
    metrics_port: int | None = ConsumerConfig.metrics_port,
    metrics_host: str = ConsumerConfig.metrics_host,
    trace_mode: str | None = ConsumerConfig.trace_mode,
    metrics_registry: CollectorRegistry | None = ConsumerConfig.metrics_registry,
    observers: Sequence[Observer] = ConsumerConfig.observers,
    interceptors: Sequence[ProcessInterceptor] = ConsumerConfig.interceptors,
) -> None:
    """Handle ``event`` with ``handler``; blocks until stopped. `Consumer` explains the options.

    Example:
        >>> consume("user.created", on_user_created, group="service-a", concurrency=8)

    Raises:
        As `Consumer.run`.
    """
    member = Consumer(**given(ConsumerConfig, locals()))
    member.on(event, handler)
    member.run()


class Consumer:
    """One member of a consumer group: handlers for events, and the threads that run them.

    Thread-safe; may be used as a context manager (``start()`` and ``stop()``). Not to be used in
    a child after ``fork()``.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream. On a Redis Cluster with a hash tag: ``"{app.events}"``.
        group: The consumer group: one per service.
        consumer: This member's name. Leave it out: a name of the library's own is unique for each
            start, which lets it recover what a lost reply held at once and not after
            ``claim_idle_ms``. Two processes may share a name without harm.
        concurrency: Handlers at once, coroutines too. With 1 first deliveries keep the stream's
            order.
        retry_limit: Attempts after the first; 3 means up to 4 in all.
        backoff_base_ms: Wait after the first failure, ms; doubled after each further one.
        backoff_max_ms: Longest wait, ms.
        backoff_jitter: Share by which a wait is spread either way, 0 to 1.
        batch_size: Most entries per read; None follows the credits.
        prefetch: Entries to hold, running and waiting; None: about 0.25 s of work.
        block_ms: How long a read waits for the first entry, ms. At most 2000 are used at a time.
        claim_idle_ms: The lease, ms: how long after its death a process' messages are taken over.
            Renewed every third of it: a handler may take any time, unless it holds the GIL for
            longer.
        start_from: Where a *new* group begins: ``"beginning"``, ``"latest"``, an entry id, or a
            datetime with a time zone.
        drain_timeout_ms: How long running handlers may take to end when stopping, ms.
        max_deliveries: Deliveries after which a message that keeps killing its process is
            dead-lettered with the reason ``crash``.
        keep_ms: How long entries stay on the stream that every group is done with, ms; the longest
            wish of a group counts. What a group still needs is never trimmed. None keeps
            everything.
        metrics_port: Serve ``/metrics``, ``/livez``, ``/readyz``; 0 takes any port. Plus its index
            in a process of ``streamix run --processes``.
        metrics_host: The address for it. Loopback, unless something else has to see the page.
        metrics_registry: Count in this and not in prometheus_client's global registry.
        trace_mode: ``continue`` (the default): a handler belongs to the trace of the publish;
            ``link``: it has a trace of its own that links to it.
        observers: Receive facts, see `streamix_queue.core.facts`.
        interceptors: Surround handlers with context managers.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        redis_url: str = ConsumerConfig.redis_url,
        stream: str = ConsumerConfig.stream,
        group: str = ConsumerConfig.group,
        *,
        consumer: str | None = ConsumerConfig.consumer,
        concurrency: int = ConsumerConfig.concurrency,
        retry_limit: int = ConsumerConfig.retry_limit,
        backoff_base_ms: int = ConsumerConfig.backoff_base_ms,
        backoff_max_ms: int = ConsumerConfig.backoff_max_ms,
        backoff_jitter: float = ConsumerConfig.backoff_jitter,
        batch_size: int | None = ConsumerConfig.batch_size,
        prefetch: int | None = ConsumerConfig.prefetch,
        block_ms: int = ConsumerConfig.block_ms,
        claim_idle_ms: int = ConsumerConfig.claim_idle_ms,
        start_from: str | datetime = ConsumerConfig.start_from,
        drain_timeout_ms: int = ConsumerConfig.drain_timeout_ms,
        max_deliveries: int = ConsumerConfig.max_deliveries,
        keep_ms: int | None = ConsumerConfig.keep_ms,
        metrics_port: int | None = ConsumerConfig.metrics_port,
        metrics_host: str = ConsumerConfig.metrics_host,
        metrics_registry: CollectorRegistry | None = ConsumerConfig.metrics_registry,
        trace_mode: str | None = ConsumerConfig.trace_mode,
        observers: Sequence[Observer] = ConsumerConfig.observers,
        interceptors: Sequence[ProcessInterceptor] = ConsumerConfig.interceptors,
    ) -> None:
        self._config = ConsumerConfig(**given(ConsumerConfig, locals()))
        self._make_broker = redis_broker_factory(redis_url)
        self._telemetry = Telemetry(self._config)
        self._pid = os.getpid()
        self._lock = threading.Lock()  # guards the fields below
        self._registrations: dict[str, Registration] = {}
        self._run: Run | None = None  # the last start; other threads read this one reference

    # --- handlers -------------------------------------------------------------------------------

    @overload
    def on(
        self,
        event: str,
        handler: H,
        *,
        retry_limit: int | None = None,
        concurrency: int | None = None,
        backoff_base_ms: int | None = None,
        backoff_max_ms: int | None = None,
        backoff_jitter: float | None = None,
        timeout_ms: int | None = None,
    ) -> H: ...

    @overload
    def on(
        self,
        event: str,
        handler: None = None,
        *,
        retry_limit: int | None = None,
        concurrency: int | None = None,
        backoff_base_ms: int | None = None,
        backoff_max_ms: int | None = None,
        backoff_jitter: float | None = None,
        timeout_ms: int | None = None,
    ) -> Callable[[H], H]: ...

    def on(
        self,
        event: str,
        handler: H | None = None,
        *,
        retry_limit: int | None = None,
        concurrency: int | None = None,
        backoff_base_ms: int | None = None,
        backoff_max_ms: int | None = None,
        backoff_jitter: float | None = None,
        timeout_ms: int | None = None,
    ) -> H | Callable[[H], H]:
        """Handle ``event``; as a call or as a decorator. Before ``start()``.

        Args:
            event: Its name.
            handler: ``(data)`` or ``(data, message)``, plain or ``async def``. A first parameter
                annotated with a ``msgspec.Struct``, a dataclass or a ``TypedDict`` gets that.
            retry_limit: Attempts after the first, for this event. None: the consumer's; so for the
                three of backoff.
            concurrency: How many of this event may run at once, at most the consumer's. By default
                all but one thread, if there are other events: one is left for them.
            backoff_base_ms: Wait after this event's first failure, ms; doubled after each further
                one.
            backoff_max_ms: Longest wait before a retry of this event, ms.
            backoff_jitter: Share by which this event's waits are spread either way, 0 to 1.
            timeout_ms: Longest run of an ``async def`` handler, ms; then it is cancelled.

        Returns:
            The handler, unchanged.

        Raises:
            ConfigError: an option is out of range, the handler cannot be called with
                ``(data)`` or ``(data, message)``, or the event has one already.
        """
        options = EventOptions(**given(EventOptions, locals()))
        if handler is not None:
            self._register(event, handler, options)
            return handler

        def decorate(decorated: H) -> H:
            self._register(event, decorated, options)
            return decorated

        return decorate

    def _register(self, event: str, handler: Callable[..., Any], options: EventOptions) -> None:
        registration = make_registration(event, handler, options, self._config)
        with self._lock:
            if self.running:
                raise StreamixError(f"event {event!r}: register handlers before the consumer is started")
            if event in self._registrations:
                raise ConfigError(f"event {event!r} has a handler already")
            self._registrations[event] = registration

    def set_concurrency(self, concurrency: int) -> None:
        """How many handlers run at once, in place of the constructor's. Before ``start()``.

        For whoever runs a consumer that others have written. Raises `ConfigError`.
        """
        with self._lock:
            if self.running:
                raise StreamixError("set the concurrency before the consumer is started")
            self._config = replace(self._config, concurrency=concurrency)
            self._registrations = with_concurrency(self._registrations, concurrency)

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, make the group if it is new, and start the threads; returns then.

        Raises:
            BrokerError: Redis cannot be reached or refuses: a subclass tells which.
            ConfigError: no handler is registered.
            StreamixError: it runs already, or this is a fork of the process that made it.
        """
        self._begin(lambda: None)

    def _begin(self, on_end: Callable[[], None]) -> None:
        if self._is_forked():
            raise StreamixError("a consumer cannot be used after fork(): make it in the child")
        with self._lock:
            if self.running:
                raise StreamixError("the consumer is running already")
            if not self._registrations:
                raise ConfigError("no handler: register one with on() before the consumer is started")
            session = self._telemetry.session()
            make_broker = watched(self._make_broker, session.observers)
            run = Run(self._config, self._registrations, make_broker, session, on_end)
            run.start()
            self._run = run

    def _is_forked(self) -> bool:
        """Asked before the lock is taken: the parent may have held it at the moment of the fork."""
        return self._pid != os.getpid()

    def stop(self, timeout: float | None = None) -> bool:
        """Take nothing more, let running handlers end, settle them, hand the rest back.

        Safe to call from any thread but a handler's own, and more than once.

        Args:
            timeout: Seconds to wait for the end; None waits as long as ``drain_timeout_ms`` and
                the settling take.

        Returns:
            True if everything that was started was also settled.

        Raises:
            RestartsExceeded, or what else ended the consumer before it was asked to.
        """
        self.request_stop()
        return self.wait(timeout)

    def request_stop(self) -> None:
        """Ask to stop and return at once. Any thread, a handler's included; not a signal handler.

        While another thread is in ``start()``, once that is done.
        """
        if self._is_forked():
            return  # nothing runs here
        with self._lock:
            run = self._run
        if run is not None and not run.over:
            run.ask_to_stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the consumer has ended, for ``timeout`` seconds at most; see `stop`."""
        run = self._run
        if run is None:
            return True
        if not run.wait(timeout) or isinstance(run.failure, DrainTimeout):
            return False
        if run.failure is not None:
            raise run.failure
        return True

    @property
    def metrics_port(self) -> int | None:
        """The port that metrics and probes are served on; None if they are not."""
        run = self._run
        return run.port if run is not None else None

    @property
    def running(self) -> bool:
        """True from ``start()`` until it has ended."""
        run = self._run
        return run is not None and not run.over

    def run(self) -> None:
        """Start, and block until stopped by a signal or by ``stop()`` from elsewhere.

        On the main thread SIGTERM and SIGINT stop it cleanly, and a second one ends the process
        at once. On any other thread no signal handler is installed.

        Raises:
            DrainTimeout: handlers were still running after ``drain_timeout_ms``.
            RestartsExceeded: an actor kept crashing.
            BrokerError, ConfigError: as `start`.
        """
        run(self)

    def _end(self) -> BaseException | None:
        """Wait for the end; what brought it about, if it was not asked for or not clean."""
        assert self._run is not None
        # Not for ever: see `Signals.wait`. A second signal is to end the process also now.
        while not self._run.wait(_LOOK_AGAIN_S):
            pass
        return self._run.failure

    def __enter__(self) -> Consumer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run(*consumers: Consumer) -> None:
    """Run several consumers in one process; block until all have ended.

    Each has its own threads. On the main thread SIGTERM and SIGINT stop all of them cleanly, and a
    second signal ends the process at once; when one of them ends, the others are stopped as well.

    Args:
        consumers: None of them is running yet.

    Raises:
        DrainTimeout: handlers were still running after ``drain_timeout_ms``.
        RestartsExceeded: an actor kept crashing.
        BrokerError, ConfigError: one could not be started; those before it were stopped again.
    """
    if not consumers:
        raise ConfigError("no consumer: run() needs at least one")
    ended: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    begun: list[Consumer] = []

    def stop() -> None:
        for consumer in begun:
            consumer.request_stop()

    with Signals() as signals:
        try:
            for consumer in consumers:
                consumer._begin(lambda: ended.put(None))
                begun.append(consumer)
            signals.wait(ended, stop)
        finally:
            stop()
            failures = [failure for consumer in begun if (failure := consumer._end()) is not None]
    # That the others did not end in time may follow from what ended the first.
    causes = [failure for failure in failures if not isinstance(failure, DrainTimeout)]
    if failures:
        raise (causes or failures)[0]
