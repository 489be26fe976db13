"""`Publisher`: events onto the stream, from any thread, before and after ``fork()``."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar

from streamix_queue.actors.observing import fan_out
from streamix_queue.actors.surround import enter_all, leave_all
from streamix_queue.broker.protocol import PublisherBroker
from streamix_queue.composition import redis_publisher_broker
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, PublisherConfig, text
from streamix_queue.core.errors import (
    BrokerUnavailable,
    InvalidMessageType,
    NotEnoughReplicas,
    PublishUnknown,
)
from streamix_queue.core.facts import Interceptor, Observer, Published
from streamix_queue.core.message import StreamMessage
from streamix_queue.core.publication import Publication
from streamix_queue.core.wire import MESSAGE, build, carrier_fields, encode

__all__ = ["DEFAULT_MAX_MESSAGE_BYTES", "Publisher"]

DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024
_PER_ROUND_TRIP = 500
_T = TypeVar("_T")


class Publisher:
    """Publishes events to one stream over connections that it keeps.

    Thread-safe, safe after ``fork()``, and when Redis is restarted between calls. May be used as
    a context manager.

    If the reply of a write is lost, it is sent again with the same message id, by a script that
    first looks whether the message is there; so one ``publish()`` is one entry.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream.
        max_message_bytes: Largest encoded message, bytes.
        timeout_ms: How long a publish may take in all, tries included, ms. One reply is waited
            for half as long, so that a connection that died unseen leaves time for another.
        observers: Receive a `Published` fact for each call.
        interceptors: Surround each call, and may add trace fields.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        redis_url: str = DEFAULT_REDIS_URL,
        stream: str = DEFAULT_STREAM,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        timeout_ms: int = 5000,
        observers: Sequence[Observer] = (),
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self._config = PublisherConfig(
            redis_url=redis_url, stream=stream, max_message_bytes=max_message_bytes, timeout_ms=timeout_ms
        )
        self._key = stream.encode()
        self._broker: PublisherBroker = redis_publisher_broker(redis_url, timeout_ms / 2000)
        self._notice = fan_out(observers)
        self._observed = bool(observers)
        self._interceptors = tuple(interceptors)
        self._known_groups: set[str] = set()

    def publish(self, event: str, data: dict[str, Any], *, group: str | None = None) -> StreamMessage:
        """Publish one event.

        Args:
            event: Its name.
            data: The payload: a JSON object, keys are strings.
            group: A consumer group to create if it is missing, from the beginning of the stream,
                so that this event is kept for a service that has never started yet.

        Returns:
            The message, with the id that its consumers will see.

        Raises:
            InvalidMessage, InvalidMessageType, MessageTooLarge: nothing was written.
            PublishUnknown: the reply was lost, and again at every try: it may be in or out.
            BrokerError: nothing was written; the subclass tells why.
        """
        now = datetime.now(timezone.utc).isoformat()
        message = build(event, data, str(uuid.uuid4()), now)
        raw = encode(message, max_bytes=self._config.max_message_bytes)
        if group is not None and group not in self._known_groups:
            self._keep_for(group)
        if not (self._interceptors or self._observed):
            self._add(message, (MESSAGE, raw))
            return message
        publication = Publication(self._config.stream, (message,), (len(raw),), batch=False)
        with self._told(publication):
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
            The messages, in the order of ``events``.

        Raises:
            As `publish`. After a `BrokerError` the events before the failing one are written.
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
        if group is not None and group not in self._known_groups:
            self._keep_for(group)
        publication = Publication(self._config.stream, messages, list(map(len, raws)), batch=True)
        with self._told(publication):
            entries = [
                (MESSAGE, raw, *carrier_fields(carrier))
                for raw, carrier in zip(raws, publication.carriers, strict=True)
            ]
            for start in range(0, len(entries), _PER_ROUND_TRIP):
                end = start + _PER_ROUND_TRIP
                self._add_many(messages[start:end], entries[start:end], publication.entry_ids)
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
            return self._broker.add(self._key, fields)
        except BrokerUnavailable as error:
            return self._persist(
                began,
                error,
                lambda: self._broker.add(self._key, fields),
                lambda: self._broker.add_unless_there(self._key, message.id.encode(), fields),
                message.id,
            )

    def _add_many(
        self, messages: Sequence[StreamMessage], entries: Sequence[Sequence[bytes]], entry_ids: list[bytes]
    ) -> None:
        def one_by_one() -> list[bytes | Exception]:
            return [
                self._broker.add_unless_there(self._key, message.id.encode(), fields)
                for message, fields in zip(messages, entries, strict=True)
            ]

        began = time.monotonic()
        try:
            answers = self._broker.add_many(self._key, entries)
        except BrokerUnavailable as error:
            answers = self._persist(
                began, error, lambda: self._broker.add_many(self._key, entries), one_by_one, messages[0].id
            )
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
            entry_ids.append(answer)

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
        notice: Callable[[Published], None],
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
        sizes = published.sizes
        self._notice(Published(published.stream, len(sizes), seconds, sum(sizes), error_type, sizes))
        leave_all(self._scopes, (kind, error, trace))


def _pair(pair: object, index: int) -> tuple[Any, Any]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InvalidMessageType(f"events[{index}]: expected a pair (event, data), not {type(pair).__name__}")
    return pair[0], pair[1]
