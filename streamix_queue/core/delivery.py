"""A delivery: one handing-over of an entry to this process, from the read to the settlement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamix_queue.core.message import StreamMessage
from streamix_queue.core.outcome import Outcome

if TYPE_CHECKING:
    from streamix_queue.core.registration import Registration

__all__ = ["Delivery", "Failure"]


class Failure:
    """What went wrong in an attempt, as text: holds no frame, so it pins no payload."""

    __slots__ = ("error", "error_type", "traceback")

    def __init__(self, error_type: str, error: str, traceback: str = "") -> None:
        self.error_type = error_type
        self.error = error
        self.traceback = traceback


class Delivery:
    """Not thread-safe: handed from thread to thread, and touched only by the one that holds it.

    The exception is the lease (``deliveries``, ``leased_at``, ``lost``), which the renewer
    writes while the entry is held, and the settler reads.

    Attributes:
        key: The stream it was read from: the shared one, or an inbox of the group.
        entry_id: Its id there.
        deliveries: Redis' delivery count when we got it: with the consumer's name the fence.
        fields: The raw fields, kept whole for the dead letter of an undecodable entry.
        raw: The envelope (None if the entry has none).
        extras: Fields to carry along unchanged (trace context), flat.
        history: The raw ``streamix`` field, None on the shared stream.
        source: ``new``, ``inbox``, ``reclaim`` or ``recovered`` (its first reply was lost): how
            it came to us; at the end ``dropped`` if nobody in the group handles its event.
        suspect: Redelivered without a recorded outcome: it may have killed its process.
        read_at: ``time.perf_counter()`` when it was read (s).
        leased_at: ``time.monotonic()`` of the last proof that it is ours (s).
        lost: True when another member owns it now: no retry and no dead letter from us.
        orphan: True when it is pending for nobody: its payload was trimmed, or its group destroyed.
        trace: ``traceparent`` of the attempt's span, for the next attempt to link to.
        span: What an interceptor or observer keeps of this delivery until it is settled.
        started_at, finished_at: ``time.perf_counter()`` around the handler (s), 0 if not run.
    """

    __slots__ = (
        "deliveries",
        "entry_id",
        "extras",
        "failure",
        "fields",
        "finished_at",
        "history",
        "key",
        "leased_at",
        "lost",
        "message",
        "orphan",
        "outcome",
        "raw",
        "read_at",
        "registration",
        "source",
        "span",
        "started_at",
        "suspect",
        "trace",
    )

    def __init__(
        self,
        key: bytes,
        entry_id: bytes,
        fields: list[bytes],
        read_at: float,
        leased_at: float,
        deliveries: int = 1,
        source: str = "new",
    ) -> None:
        self.key = key
        self.entry_id = entry_id
        self.fields = fields
        self.read_at = read_at
        self.leased_at = leased_at
        self.deliveries = deliveries
        self.source = source
        self.suspect = False
        self.lost = False
        self.raw: bytes | None = None
        self.extras: tuple[bytes, ...] = ()
        self.history: bytes | None = None
        self.message: StreamMessage | None = None
        self.registration: Registration | None = None
        self.started_at = 0.0
        self.finished_at = 0.0
        self.outcome: Outcome | None = None
        self.failure: Failure | None = None
        self.trace: str | None = None
        self.span: object = None
        self.orphan = False

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return 1 + (self.message.retries if self.message is not None else 0)

    @property
    def event(self) -> str:
        """The event's name, ``""`` if the entry could not be decoded."""
        return self.message.event if self.message is not None else ""

    def __repr__(self) -> str:
        return f"<Delivery {self.event!r} {self.entry_id.decode(errors='replace')} attempt={self.attempt}>"
