"""What holds for the whole process: which telemetry is on, and how.

`configure` changes it; a consumer or publisher takes it as it is when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry

from streamix_queue.core.errors import ConfigError

__all__ = ["Settings", "TraceOptions", "change", "current"]

_MODES: Final = ("continue", "link")
_BATCHES: Final = ("create", "send")


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """How messages are traced.

    Attributes:
        mode: ``continue``: what a consumer does belongs to the trace of the publish. ``link``:
            each attempt is a trace of its own, linked to it.
        continue_max_age_s: Older messages get a trace of their own in either mode: what
            collects traces has closed theirs by then.
        baggage: Also send and take W3C baggage. Off by default: it may hold private data.
        batch: ``create``: ``publish_many()`` makes a span for each message. ``send``: one for all,
            which is cheaper, and the messages share it.
        settle_spans: Also record acks, retries and dead letters of what was recorded.
        body_size: Also record the encoded size of messages.

    Raises:
        ConfigError: an option is out of range.
    """

    mode: str = "continue"
    continue_max_age_s: float = 86_400.0
    baggage: bool = False
    batch: str = "create"
    settle_spans: bool = True
    body_size: bool = False

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ConfigError(f"trace_mode={self.mode!r}: expected 'continue' or 'link'")
        if self.batch not in _BATCHES:
            raise ConfigError(f"trace_batch={self.batch!r}: expected 'create' or 'send'")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What of the library's telemetry is on.

    Attributes:
        logs: Log lines, and the ids of a message in the lines that its handler writes.
        metrics: Counting.
        traces: Spans, if the process has a tracer provider, and the context of messages.
        registry: Where metrics are.
        trace: How messages are traced.
    """

    logs: bool = True
    metrics: bool = True
    traces: bool = True
    registry: CollectorRegistry = field(default_factory=lambda: REGISTRY)
    trace: TraceOptions = field(default_factory=TraceOptions)


_settings = Settings()


def current() -> Settings:
    """The settings of this process."""
    return _settings


def change(settings: Settings) -> None:
    """Let ``settings`` hold from now on, for what is made from now on."""
    global _settings  # noqa: PLW0603 - the one value that is the process's own
    _settings = settings
