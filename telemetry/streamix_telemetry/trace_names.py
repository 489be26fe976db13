"""Names of spans and attributes: the messaging conventions of OpenTelemetry 1.44, and our own.

Kept here as text since the package that holds them is unstable and pinned to SDK versions; a test
compares them.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, ProxyTracerProvider, Tracer
from redis.connection import parse_url

from streamix_queue.__about__ import __version__
from streamix_queue.core.redact import redact_url

__all__ = ["SCHEMA_URL", "base_attributes", "server_attributes", "tracer_in_use"]

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
SCOPE: Final = "streamix_queue"
MAX_LINKS: Final = 128
"""The SDK's own limit; it drops the rest silently."""

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
GROUP: Final = "messaging.consumer.group.name"
CLIENT_ID: Final = "messaging.client.id"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION_ID: Final = "messaging.message.conversation_id"
BODY_SIZE: Final = "messaging.message.body.size"
BATCH_COUNT: Final = "messaging.batch.message_count"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"

EVENT_ID: Final = "streamix.event.id"
EVENT_TYPE: Final = "streamix.event.type"
HANDLER: Final = "streamix.handler"
ATTEMPT: Final = "streamix.message.attempt"
DELIVERY_COUNT: Final = "streamix.message.delivery_count"
QUEUE_TIME: Final = "streamix.message.queue_time"
FINAL: Final = "streamix.message.final"
MAILBOX_WAIT: Final = "streamix.mailbox.wait"
REDELIVERY_CAUSE: Final = "streamix.redelivery.cause"
OUTCOME: Final = "streamix.outcome"
RETRY_DELAY: Final = "streamix.retry.delay"
LINK_KIND: Final = "streamix.link.kind"
LINKS_DROPPED: Final = "streamix.links.dropped"
SETTLE_OWNED: Final = "streamix.settle.owned"
SOURCE_STREAM: Final = "streamix.source.stream"
SOURCE_MESSAGE_ID: Final = "streamix.source.message.id"
DEAD_LETTER_REASON: Final = "streamix.dead_letter.reason"
RECLAIM_MIN_IDLE: Final = "streamix.reclaim.min_idle"
RECLAIM_DELETED: Final = "streamix.reclaim.deleted"
REPLAY_SOURCE: Final = "streamix.replay.source"

Attributes = dict[str, str | bool | int | float]


def server_attributes(url: str) -> Attributes:
    """Where Redis is: host and port, or the path of a unix socket. Never a secret."""
    try:
        # Unreadable: then a part of the password may stand where the host should.
        options = parse_url(url) if "://" in redact_url(url) else {}  # type: ignore[no-untyped-call]
    except ValueError:
        options = {}
    if not options:
        return {}
    if "path" in options:
        return {SERVER_ADDRESS: str(options["path"])}
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return {SERVER_ADDRESS: str(host), SERVER_PORT: int(port)}


def base_attributes(server: Attributes, stream: str, client: str, group: str | None = None) -> Attributes:
    """What every span of one publisher or consumer has."""
    attributes: Attributes = {SYSTEM: "redis", DESTINATION: stream, CLIENT_ID: client, **server}
    if group is not None:
        attributes[GROUP] = group
    return attributes


def operation(base: Attributes, name: str, kind: str = "") -> Attributes:
    """``base`` with the operation's name and type; some have no type in the conventions."""
    return {**base, OPERATION_NAME: name, OPERATION_TYPE: kind} if kind else {**base, OPERATION_NAME: name}


def tracer_in_use() -> Tracer | None:
    """A tracer if somebody in this process records spans; else None."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)):
        return None
    tracer = provider.get_tracer(SCOPE, __version__, SCHEMA_URL)
    return None if isinstance(tracer, NoOpTracer) else tracer
