"""`Publisher`: events onto the stream, from any thread, before and after ``fork()``."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar

from streamix_queue.broker.protocol import PublisherBroker
from streamix_queue.composition import publisher_telemetry, redis_publisher_broker
from streamix_queue.core.config import PublisherConfig, text
from streamix_queue.core.errors import (
    BacklogFull,
    BrokerError,
    BrokerUnavailable,
    InvalidMessageType,
    NotEnoughReplicas,
    PublishUnknown,
)
from streamix_queue.core.facts import Interceptor, Observer, Published, Shed
from streamix_queue.core.message import ShedMessage, StreamMessage
from streamix_queue.core.options import given
from streamix_queue.core.publication import Publication
from streamix_queue.core.wire import MESSAGE, Fields, build, carrier_fields, encode
from streamix_queue.publishing.hold_back import Backpressure
from streamix_queue.publishing.joint_writes import JointWrites
from streamix_queue.telling.interceptors import enter_all, leave_all
from streamix_queue.telling.observers import Notice, fan_out

__all__ = ["Publisher"]

_PER_ROUND_TRIP = 500
_T = TypeVar("_T")


class Publisher:
    """Publishes events to one stream over connections that it keeps.

    Thread-safe, safe after ``fork()``, and when Redis is restarted between calls. May be used as
    a context manager. Share one between threads: what many publish at the same moment goes to Redis
    together, over a few connections.

    If the reply of a write is lost, it is sent again with the same message id, by a script that
    first looks whether the message is among the last 2,000 entries of the last minute; so one
    ``publish()`` is one entry, unless others have written more than that between the two.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream. On a Redis Cluster with a hash tag: ``"{app.events}"``.
        max_message_bytes: Largest encoded message, bytes.
        timeout_ms: How long a publish may take in all, tries included, ms. One reply is waited for
            half as long, so that a connection that died unseen leaves time for another.
        max_backlog: Hold publishing back when the slowest group has so many messages to handle yet:
            not delivered, pending, waiting for a retry or in its inboxes (without a group, all that
            is on the stream). It goes on at four fifths of that. Looked at about once a second, so
            it may be exceeded by what all publishers write meanwhile. None: never.
        on_full: What to do then: ``"block"`` up to ``full_timeout_ms``, then raise `BacklogFull`;
            ``"raise"`` it at once; or ``"shed"``: write nothing, and return a `ShedMessage`, whose
            ``published`` is False.
        full_timeout_ms: How long to block, ms, beside ``timeout_ms``.
        observers: Receive a `Published` fact for each call.
        interceptors: Surround each call, and may add trace fields.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        redis_url: str = PublisherConfig.redis_url,
        stream: str = PublisherConfig.stream,
        *,
        max_message_bytes: int = PublisherConfig.max_message_bytes,
        timeout_ms: int = PublisherConfig.timeout_ms,
        max_backlog: int | None = PublisherConfig.max_backlog,
        on_full: str = PublisherConfig.on_full,
        full_timeout_ms: int = PublisherConfig.full_timeout_ms,
        observers: Sequence[Observer] = PublisherConfig.observers,
        interceptors: Sequence[Interceptor] = PublisherConfig.interceptors,
    ) -> None:
        self._config = PublisherConfig(**given(PublisherConfig, locals()))
        self._key = stream.encode()
        own_observers, own_interceptors = publisher_telemetry(redis_url, stream)
        everyone = (*own_observers, *observers)
        self._broker: PublisherBroker = redis_publisher_broker(redis_url, timeout_ms / 2000, everyone)
        self._joint = JointWrites(self._write, patience_s=2 * timeout_ms / 1000 + 1.0)
        self._notice = fan_out(everyone)
        self._interceptors = (*own_interceptors, *interceptors)
        self._backpressure: Backpressure | None = None
        if max_backlog is not None:
            self._backpressure = Backpressure(
                self._broker,
                stream,
                limit=max_backlog,
                on_full=on_full,
                timeout_s=full_timeout_ms / 1000,
                notice=self._notice,
            )
        self._plain = not (everyone or self._interceptors or self._backpressure)
        self._known_groups: set[str] = set()
        self._checked = False

    def publish(self, event: str, data: dict[str, Any], *, group: str | None = None) -> StreamMessage:
        """Publish one event.

        Args:
            event: Its name.
            data: The payload: a JSON object, keys are strings.
            group: A consumer group to create if it is missing, from the beginning of the stream,
                so that this event is kept for a service that has never started yet.

        Returns:
            The message, with the id that its consumers will see; a `ShedMessage` if it was shed.

        Raises:
            InvalidMessage, InvalidMessageType, MessageTooLarge: nothing was written.
            BacklogFull: nothing was written, see ``max_backlog``.
            PublishUnknown: the reply was lost, and again at every try: it may be in or out.
            BrokerError: nothing was written; the subclass tells why.
        """
        now = datetime.now(timezone.utc).isoformat()
        message = build(event, data, str(uuid.uuid4()), now)
        raw = encode(message, max_bytes=self._config.max_message_bytes)
        if not self._checked:
            self._broker.check(self._key)
            self._checked = True
        if group is not None and group not in self._known_groups:
            self._keep_for(group)
        if self._plain:
            self._add(message, (MESSAGE, raw))
            return message
        publication = Publication(self._config.stream, (message,), (len(raw),), batch=False)
        with self._told(publication):
            if self._backpressure is not None and not self._backpressure.admit(1):
                publication.shed = 1
                return _shed(message)
            fields = (MESSAGE, raw, *carrier_fields(publication.carriers[0]))
            publication.entry_ids.append(self._add(message, fields))
        return message

    def publish_many(
        self, events: Iterable[tuple[str, dict[str, Any]]], *, group: str | None = None
    ) -> list[StreamMessage]:
        """Publish many events, in order, with a round trip for each 500.

        Args:
            events: Pairs of event name and payload. All are checked before the first is written.
            group: As in `publish`.

        Returns:
            The messages, in the order of ``events``. With ``on_full="shed"`` the last of them
            may be `ShedMessage` objects, which were not written.

        Raises:
            As `publish`. The error's ``written`` has the indexes of the events that surely are on
            the stream: all before the failing one, and perhaps some of the same round trip after it.
        """
        now = datetime.now(timezone.utc).isoformat()
        limit = self._config.max_message_bytes
        messages: list[StreamMessage] = []
        raws: list[bytes] = []
        for index, pair in enumerate(events):
            event, data = _pair(pair, index)
            message = build(event, data, str(uuid.uuid4()), now)
            raws.append(encode(message, max_bytes=limit))
            messages.append(message)
        if not self._checked:
            self._broker.check(self._key)
            self._checked = True
        if group is not None and group not in self._known_groups:
            self._keep_for(group)
        publication = Publication(self._config.stream, messages, list(map(len, raws)), batch=True)
        with self._told(publication):
            entries = [
                (MESSAGE, raw, *carrier_fields(carrier))
                for raw, carrier in zip(raws, publication.carriers, strict=True)
            ]
            written: list[int] = []
            try:
                for start in range(0, len(entries), _PER_ROUND_TRIP):
                    end = min(start + _PER_ROUND_TRIP, len(entries))
                    if self._backpressure is not None and not self._backpressure.admit(end - start):
                        publication.shed = len(messages) - start
                        return [*messages[:start], *map(_shed, messages[start:])]
                    answers = self._add_many(messages[start:end], entries[start:end])
                    _note_written(answers, start, written, publication.entry_ids)
            except (BacklogFull, BrokerError) as error:
                error.written = tuple(written)
                raise
        return messages

    def close(self) -> None:
        """Close the connections. A later publish opens new ones."""
        self._broker.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- writing --------------------------------------------------------------------------------

    def _add(self, message: StreamMessage, fields: Sequence[bytes]) -> bytes:
        began = time.monotonic()
        try:
            return self._joint.write(fields)
        except BrokerUnavailable as error:
            return self._persist(
                began,
                error,
                lambda: self._broker.add(self._key, fields),
                lambda: self._broker.add_unless_there(self._key, message.id.encode(), fields),
                message.id,
            )

    def _write(self, entries: Sequence[Fields]) -> list[bytes | Exception]:
        if len(entries) == 1:
            return [self._broker.add(self._key, entries[0])]
        return self._broker.add_many(self._key, entries)

    def _add_many(
        self, messages: Sequence[StreamMessage], entries: Sequence[Sequence[bytes]]
    ) -> list[bytes | Exception]:
        def one_by_one() -> list[bytes | Exception]:
            return [
                self._broker.add_unless_there(self._key, message.id.encode(), fields)
                for message, fields in zip(messages, entries, strict=True)
            ]

        began = time.monotonic()
        try:
            return self._broker.add_many(self._key, entries)
        except BrokerUnavailable as error:
            return self._persist(
                began, error, lambda: self._broker.add_many(self._key, entries), one_by_one, messages[0].id
            )

    def _persist(
        self,
        began: float,
        error: BrokerUnavailable,
        write: Callable[[], _T],
        look_and_write: Callable[[], _T],
        message_id: str,
    ) -> _T:
        """Try again after ``error``, until ``timeout_ms`` after ``began`` (``time.monotonic()``).

        As long as Redis surely did nothing, by ``write``; from the first lost reply on by
        ``look_and_write``, which adds nothing that is there.
        """
        deadline = began + self._config.timeout_ms / 1000
        attempt, unknown = 1, False
        while True:
            if isinstance(error, NotEnoughReplicas):
                raise error
            unknown = unknown or not error.nothing_done
            wait = min(0.05 * 2**attempt, 1.0) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            if time.monotonic() + wait > deadline:
                if unknown:
                    reason = f"{error}; tried {attempt} times, the message may be in or out"
                    raise PublishUnknown(reason, message_id) from error
                raise BrokerUnavailable(f"{error}; tried {attempt} times, nothing was written") from error
            time.sleep(wait)
            attempt += 1
            try:
                return look_and_write() if unknown else write()
            except BrokerUnavailable as again:
                error = again

    def _keep_for(self, group: str) -> None:
        text("group", group)

        def ensure() -> object:
            return self._broker.ensure_group(self._key, group.encode(), "0")

        began = time.monotonic()
        try:
            ensure()
        except BrokerUnavailable as error:
            self._persist(began, error, ensure, ensure, "")
        self._known_groups.add(group)

    # --- telemetry ------------------------------------------------------------------------------

    def _told(self, publication: Publication) -> _Told:
        return _Told(self._interceptors, self._notice, publication)


class _Told:
    """Interceptors around a publish, and the fact of it at its end."""

    def __init__(
        self,
        interceptors: tuple[Interceptor, ...],
        notice: Notice,
        publication: Publication,
    ) -> None:
        self._interceptors = interceptors
        self._notice = notice
        self._publication = publication

    def __enter__(self) -> None:
        self._started = time.perf_counter()
        self._scopes = enter_all([i.publishing for i in self._interceptors], self._publication)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        published, seconds = self._publication, time.perf_counter() - self._started
        error_type = kind.__name__ if kind else ""
        sizes = published.sizes[: len(published.sizes) - published.shed]
        if sizes:
            self._notice(Published(published.stream, len(sizes), seconds, sum(sizes), error_type, sizes))
        if published.shed:
            self._notice(Shed(published.stream, published.shed))
        leave_all(self._scopes, (kind, error, trace))


def _note_written(
    answers: Sequence[bytes | Exception], start: int, written: list[int], entry_ids: list[bytes]
) -> None:
    """Note which events of a round trip are on the stream; raises the first refusal.

    Those behind it may be in: Redis carries each out by itself, and memory may have become free.
    """
    refusal: Exception | None = None
    for index, answer in enumerate(answers, start):
        if isinstance(answer, Exception):
            refusal = refusal or answer
        else:
            written.append(index)
            if refusal is None:
                entry_ids.append(answer)
    if refusal is not None:
        raise refusal


def _shed(message: StreamMessage) -> ShedMessage:
    return ShedMessage(message.id, message.event, message.data, message.retries, message.timestamps)


def _pair(pair: object, index: int) -> tuple[Any, Any]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InvalidMessageType(f"events[{index}]: expected a pair (event, data), not {type(pair).__name__}")
    return pair[0], pair[1]
