"""Spans as a test looks at them, whether they came from memory or over the wire."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Link", "Seen", "SeenSpan", "from_sdk"]

_IN_TIME_S = 10.0


@dataclass(frozen=True)
class Link:
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class SeenSpan:
    """One finished span. Ids are hexadecimal, times nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str  # "" for a root
    attributes: dict[str, Any]
    links: tuple[Link, ...]
    status: str  # UNSET, OK, ERROR
    description: str
    start: int
    end: int
    scope: str
    schema_url: str

    def links_to(self, other: SeenSpan) -> Link:
        """The link to ``other``; fails if there is none."""
        found = [link for link in self.links if link.span_id == other.span_id]
        assert found, f"{self.name} has no link to {other.name}: {self.links}"
        assert found[0].trace_id == other.trace_id
        return found[0]

    def child_of(self, other: SeenSpan) -> bool:
        return self.parent_id == other.span_id and self.trace_id == other.trace_id


class Seen:
    """All spans that have ended so far; asks ``source`` each time."""

    def __init__(self, source: Callable[[], Sequence[SeenSpan]]) -> None:
        self._source = source

    def all(self, name: str = "") -> list[SeenSpan]:
        """Those whose name starts with ``name``, in the order of their start."""
        return sorted((s for s in self._source() if s.name.startswith(name)), key=lambda s: s.start)

    def one(self, name: str) -> SeenSpan:
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} spans {name!r}: {[s.name for s in self.all()]}"
        return found[0]

    def wait_for(self, name: str, count: int = 1) -> list[SeenSpan]:
        """Wait until there are so many; they."""
        deadline = time.monotonic() + _IN_TIME_S
        while len(found := self.all(name)) < count:
            assert time.monotonic() < deadline, (
                f"{len(found)} of {count} {name!r}: {[s.name for s in self.all()]}"
            )
            time.sleep(0.005)
        return found

    def trace_of(self, span: SeenSpan) -> list[SeenSpan]:
        return [s for s in self.all() if s.trace_id == span.trace_id]


def from_sdk(span: ReadableSpan) -> SeenSpan:
    context, parent, scope = span.get_span_context(), span.parent, span.instrumentation_scope
    assert context is not None
    assert scope is not None
    return SeenSpan(
        name=span.name,
        kind=span.kind.name,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent is not None else "",
        attributes=dict(span.attributes or {}),
        links=tuple(
            Link(f"{k.context.trace_id:032x}", f"{k.context.span_id:016x}", dict(k.attributes or {}))
            for k in span.links
        ),
        status=span.status.status_code.name,
        description=span.status.description or "",
        start=span.start_time or 0,
        end=span.end_time or 0,
        scope=scope.name,
        schema_url=scope.schema_url or "",
    )
