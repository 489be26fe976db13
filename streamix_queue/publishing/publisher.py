"""`Publisher`: events onto the stream, from any thread, before and after ``fork()``.

What it decides lies in `core.publish_attempts`, `core.hold_back` and `core.publication`; here are
the calls to Redis and the waits between them, for threads.
"""

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
)
from streamix_queue.core.facts import Observer, PublishInterceptor
from streamix_queue.core.message import ShedMessage, StreamMessage
from streamix_queue.core.options import given
from streamix_queue.core.publication import Publication
from streamix_queue.core.publish_attempts import PublishAttempts
from streamix_queue.core.wire import MESSAGE, Fields, build, carrier_fields, encode
from streamix_queue.forks import PerProcess
from streamix_queue.publishing.hold_back import HoldBack
from streamix_queue.publishing.joint_writes import JointWrites
from streamix_queue.publishing.observed import Observed
from streamix_queue.telling.observers import fan_out

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
        interceptors: Sequence[PublishInterceptor] = PublisherConfig.interceptors,
    ) -> None:
        self._config = PublisherConfig(**given(PublisherConfig, locals()))
        self._key = stream.encode()
        own_observers, own_interceptors = publisher_telemetry(redis_url, stream)
        everyone = (*own_observers, *observers)
        self._broker: PublisherBroker = redis_publisher_broker(redis_url, timeout_ms / 2000, everyone)
        self._joint = PerProcess(lambda: JointWrites(self._send, patience_s=2 * timeout_ms / 1000 + 1.0))
        self._notice = fan_out(everyone)
        self._interceptors = (*own_interceptors, *interceptors)
        self._hold_back: HoldBack | None = None
        if max_backlog is not None:
            self._hold_back = HoldBack(
                self._broker,
                stream,
                limit=max_backlog,
                on_full=on_full,
                timeout_s=full_timeout_ms / 1000,
                notice=self._notice,
            )
        # No telemetry, no limit: then a publish spends a third less time outside of Redis.
        self._is_bare = not (everyone or self._interceptors or self._hold_back)
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
        self._prepare(group)
        if self._is_bare:
            self._add(message, (MESSAGE, raw))
            return message
        publication = Publication(self._config.stream, (message,), (len(raw),), batch=False)
        with Observed(self._interceptors, self._notice, publication):
            if self._hold_back is not None and not self._hold_back.admit(1):
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
        self._prepare(group)
        publication = Publication(self._config.stream, messages, list(map(len, raws)), batch=True)
        with Observed(self._interceptors, self._notice, publication):
            entries = [
                (MESSAGE, raw, *carrier_fields(carrier))
                for raw, carrier in zip(raws, publication.carriers, strict=True)
            ]
            written: list[int] = []
            try:
                for start in range(0, len(entries), _PER_ROUND_TRIP):
                    end = min(start + _PER_ROUND_TRIP, len(entries))
                    if self._hold_back is not None and not self._hold_back.admit(end - start):
                        publication.shed = len(messages) - start
                        return [*messages[:start], *map(_shed, messages[start:])]
                    answers = self._add_many(messages[start:end], entries[start:end])
                    publication.confirm(answers, start, written)
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

    # --- before the first write -----------------------------------------------------------------

    def _prepare(self, group: str | None) -> None:
        """Refuse a key that a cluster would not take, and make ``group``: each once, then no more."""
        if not self._checked:
            self._broker.check(self._key)
            self._checked = True
        if group is not None and group not in self._known_groups:
            text("group", group)
            self._ensure(group)
            self._known_groups.add(group)

    def _ensure(self, group: str) -> None:
        def ensure() -> object:
            return self._broker.ensure_group(self._key, group.encode(), "0")

        began = time.monotonic()
        try:
            ensure()
        except BrokerUnavailable as error:
            self._persist(began, error, ensure, ensure, "")

    # --- writing --------------------------------------------------------------------------------

    def _add(self, message: StreamMessage, fields: Fields) -> bytes:
        began = time.monotonic()
        try:
            return self._joint.get().write(fields)
        except BrokerUnavailable as error:
            return self._persist(
                began,
                error,
                lambda: self._broker.add(self._key, fields),
                lambda: self._broker.add_unless_there(self._key, message.id.encode(), fields),
                message.id,
            )

    def _add_many(
        self, messages: Sequence[StreamMessage], entries: Sequence[Fields]
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

    def _send(self, entries: Sequence[Fields]) -> list[bytes | Exception]:
        """One round trip for what several threads publish at the same moment."""
        if len(entries) == 1:
            return [self._broker.add(self._key, entries[0])]
        return self._broker.add_many(self._key, entries)

    def _persist(
        self,
        began: float,
        error: BrokerUnavailable,
        write: Callable[[], _T],
        look_and_write: Callable[[], _T],
        message_id: str,
    ) -> _T:
        """Wait and try again after ``error``, as `PublishAttempts` says, for up to ``timeout_ms``.

        ``began`` is when the first try did, on the monotonic clock. ``look_and_write`` adds nothing
        that is on the stream already.
        """
        attempts = PublishAttempts(began + self._config.timeout_ms / 1000, message_id)
        while True:
            again = attempts.after(error, time.monotonic(), random.random())  # noqa: S311 - jitter
            time.sleep(again.wait_s)
            try:
                return look_and_write() if again.look_first else write()
            except BrokerUnavailable as failure:
                error = failure


def _shed(message: StreamMessage) -> ShedMessage:
    return ShedMessage(message.id, message.event, message.data, message.retries, message.timestamps)


def _pair(pair: object, index: int) -> tuple[Any, Any]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InvalidMessageType(f"events[{index}]: expected a pair (event, data), not {type(pair).__name__}")
    return pair[0], pair[1]
