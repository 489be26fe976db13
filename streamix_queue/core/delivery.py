"""A delivery: one handing-over of an entry to this process, from the read to the settlement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from streamix_queue.core.message import StreamMessage
from streamix_queue.core.outcome import Outcome

if TYPE_CHECKING:
    from streamix_queue.core.registration import Registration

__all__ = ["Delivery", "Failure"]


class Failure(msgspec.Struct, gc=False):
    """What went wrong in an attempt, as text: holds no frame, so it pins no payload."""

    error_type: str
    error: str
    traceback: str = ""


class Delivery(msgspec.Struct, eq=False, gc=False):
    """Not thread-safe: handed from thread to thread, and touched only by the one that holds it.

    The exception is the lease (``deliveries``, ``leased_at``, ``lost``), which the renewer
    writes while the entry is held, and the settler reads.

    The garbage collector does not visit it, for thousands are held at once and would be looked at
    over and over. So nothing that it holds may refer back to it.

    Attributes:
        key: The stream it was read from: the shared one, or an inbox of the group.
        entry_id: Its id there.
        deliveries: Redis' delivery count when we got it: with the consumer's name the fence.
        fields: The raw fields; empty once the message is decoded, for then each is elsewhere. Kept
            whole for the dead letter of an undecodable entry.
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

    key: bytes
    entry_id: bytes
    fields: Sequence[bytes]
    read_at: float
    leased_at: float
    deliveries: int = 1
    source: str = "new"
    suspect: bool = False
    lost: bool = False
    orphan: bool = False
    raw: bytes | None = None
    extras: tuple[bytes, ...] = ()
    history: bytes | None = None
    message: StreamMessage | None = None
    registration: Registration | None = None
    started_at: float = 0.0
    finished_at: float = 0.0
    outcome: Outcome | None = None
    failure: Failure | None = None
    trace: str | None = None
    span: object = None

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
