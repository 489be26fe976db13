"""The table of spans, field by field: what each kind of span has to look like."""

from __future__ import annotations

from typing import Any

from streamix_queue import StreamMessage
from tests.telemetry.seen import SeenSpan

__all__ = ["SCHEMA_URL", "Expected"]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
_ANY_FLOAT = ("streamix.message.queue_time", "streamix.mailbox.wait", "streamix.retry.delay")


class Expected:
    """Checks the spans of one message on one stream, read by one group."""

    def __init__(
        self,
        port: int,
        stream: str,
        group: str,
        message: StreamMessage,
        handler: str,
        schema_urls: tuple[str, ...] = (SCHEMA_URL,),
    ) -> None:
        self._schema_urls = schema_urls
        self._common = {
            "messaging.system": "redis",
            "server.address": "127.0.0.1",
            "server.port": port,
        }
        self._stream, self._group, self._message, self._handler = stream, group, message, handler
        self._ids = {
            "messaging.message.conversation_id": message.id,
            "streamix.event.id": message.id,
            "streamix.event.type": message.event,
        }

    def publish(self, span: SeenSpan) -> None:
        own = {**self._operation("publish", "send"), **self._ids}
        self._same(span, f"publish {self._stream}", "PRODUCER", own, extra=("messaging.message.id",))

    def process(
        self, span: SeenSpan, *, attempt: int, outcome: str, cause: str = "", delay: bool = False
    ) -> None:
        own = {
            **self._operation("process", "process"),
            **self._ids,
            "messaging.consumer.group.name": self._group,
            "streamix.handler": self._handler,
            "streamix.message.attempt": attempt,
            "streamix.message.delivery_count": 1,
            "streamix.outcome": outcome,
            "streamix.message.final": outcome != "retry",
        }
        if cause:
            own["streamix.redelivery.cause"] = cause
        extra = ["messaging.message.id", "streamix.message.queue_time", "streamix.mailbox.wait"]
        if outcome == "retry":
            extra.append("streamix.retry.delay")
        if outcome != "ack":
            own["error.type"] = "ValueError"
        self._same(span, f"process {self._stream}", "CONSUMER", own, tuple(extra), failed=outcome != "ack")

    def retry(self, span: SeenSpan, *, attempt: int) -> None:
        own = {
            **self._operation("retry", "settle"),
            "messaging.consumer.group.name": self._group,
            "streamix.message.attempt": attempt,
        }
        extra = ("messaging.message.id", "streamix.retry.delay")
        self._same(span, f"retry {self._stream}", "CLIENT", own, extra)

    def ack(self, span: SeenSpan) -> None:
        own = {**self._operation("ack", "settle"), "messaging.consumer.group.name": self._group}
        self._same(span, f"ack {self._stream}", "CLIENT", own, ("messaging.message.id",))

    def dead_letter(self, span: SeenSpan, *, attempt: int, reason: str) -> None:
        own = {
            **self._operation("dead_letter", "send"),
            "messaging.destination.name": f"{self._stream}:failed",
            "messaging.consumer.group.name": self._group,
            "streamix.source.stream": self._stream,
            "streamix.dead_letter.reason": reason,
            "streamix.message.attempt": attempt,
            "streamix.event.id": self._message.id,
            "streamix.event.type": self._message.event,
        }
        name = f"dead_letter {self._stream}:failed"
        self._same(span, name, "CLIENT", own, ("streamix.source.message.id",))

    def replay_run(self, span: SeenSpan, *, count: int) -> None:
        own = {
            **self._operation("replay", ""),
            "messaging.destination.name": f"{self._stream}:failed",
            "messaging.batch.message_count": count,
        }
        self._same(span, f"replay {self._stream}:failed", "INTERNAL", own)

    def replay(self, span: SeenSpan) -> None:
        own = {
            **self._operation("replay", "send"),
            **self._ids,
            "messaging.consumer.group.name": self._group,
            "streamix.replay.source": f"{self._stream}:failed",
        }
        self._same(span, f"replay {self._stream}", "CLIENT", own, ("messaging.message.id",))

    def _operation(self, name: str, kind: str) -> dict[str, Any]:
        operation = {
            **self._common,
            "messaging.operation.name": name,
            "messaging.destination.name": self._stream,
        }
        return {**operation, "messaging.operation.type": kind} if kind else operation

    def _same(
        self,
        span: SeenSpan,
        name: str,
        kind: str,
        own: dict[str, Any],
        extra: tuple[str, ...] = (),
        *,
        failed: bool = False,
    ) -> None:
        """Exactly these attributes; of those in ``extra`` and the client's id only that they are there."""
        seen = dict(span.attributes)
        assert isinstance(seen.pop("messaging.client.id"), str)
        for key in extra:
            value = seen.pop(key)
            assert isinstance(value, float) and value >= 0 if key in _ANY_FLOAT else isinstance(value, str)
        assert (span.name, span.kind, seen) == (name, kind, own)
        assert span.status == ("ERROR" if failed else "UNSET")
        assert span.scope == "streamix_queue"
        assert span.schema_url in self._schema_urls
        assert 0 < span.start <= span.end
