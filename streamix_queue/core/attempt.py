"""An attempt: what becomes of an entry that this process holds, from the decoding to its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec

from streamix_queue.core.entry import Entry
from streamix_queue.core.errors import Malformed
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.message import StreamMessage
from streamix_queue.core.outcome import HAND_OVER, DeadLetter, Outcome, Reason
from streamix_queue.core.wire import decode_held, envelope_of

if TYPE_CHECKING:
    from streamix_queue.core.registration import Registration

__all__ = ["Attempt", "Failure", "unleased"]


class Failure(msgspec.Struct, gc=False):
    """What went wrong in an attempt, as text: holds no frame, so it pins no payload."""

    error_type: str
    error: str
    traceback: str = ""


class Attempt(msgspec.Struct, eq=False, gc=False):
    """What goes from the fetcher over a lane and a worker to the settler.

    Written by one thread at a time, in this order, and closed once: the fetcher or the reclaimer
    opens it, a worker runs and closes it, the settler carries its outcome out. An outcome that
    comes after it was closed is ignored. Its lease is another matter, with rules of its own.

    Attributes:
        entry: What it is an attempt at.
        lease: Our hold on the entry.
        raw: The envelope; None until it is opened, or if the entry has none.
        extras: Fields to carry along unchanged (trace context), flat.
        history: The raw ``streamix`` field, None on the shared stream.
        message: The decoded envelope, None if there is none.
        registration: The handler here, None if there is none.
        started_at, finished_at: ``time.perf_counter()`` around the handler (s), 0 if not run.
        outcome: How it ended; None as long as it is open.
        failure: What was raised.
        trace: ``traceparent`` of its span, for the next attempt to link to.
        span: What an interceptor or observer keeps of it until it is settled.
    """

    entry: Entry
    lease: Lease
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

    def open(self, registrations: Mapping[str, Registration]) -> Outcome | None:
        """Decode the entry and find its handler; the outcome, if it is not to be run here."""
        raw = self.entry.message
        if raw is None:
            raw, self.extras, self.history = envelope_of(self.entry.fields)
        if raw is None:
            self.failure = Failure("Malformed", "the entry has no field 'message'")
            return DeadLetter(Reason.MALFORMED)
        self.raw = raw
        try:
            message = self.message = decode_held(raw)
        except Malformed as error:
            self.failure = Failure("Malformed", str(error))
            return DeadLetter(Reason.MALFORMED)
        self.registration = registrations.get(message.event)
        return HAND_OVER if self.registration is None else None

    def close(self, outcome: Outcome, failure: Failure | None = None) -> bool:
        """End it so; False, and nothing is changed, if it has ended already.

        Where another thread may want to as well, both do so under the lock of the lease's terms.
        """
        if self.outcome is not None:
            return False
        self.outcome = outcome
        if failure is not None:
            self.failure = failure
        return True

    def amend(self, outcome: Outcome) -> None:
        """Put another outcome in the place of the one it was closed with.

        For the settler alone, when Redis' answer shows that it ends otherwise: an event that
        nobody in the group handles, or an entry that cannot be handed back.
        """
        self.outcome = outcome

    @property
    def number(self) -> int:
        """Which attempt this is, from 1."""
        return 1 + (self.message.retries if self.message is not None else 0)

    @property
    def event(self) -> str:
        """The event's name, ``""`` if the entry could not be decoded."""
        return self.message.event if self.message is not None else ""

    def __repr__(self) -> str:
        entry_id = self.entry.id.decode(errors="replace")
        return f"<Attempt {self.number} at {self.event!r} {entry_id}>"


def unleased(entry: Entry) -> Attempt:
    """An attempt at what is pending for nobody, and so has no lease that could be lost: a waiting retry."""
    return Attempt(entry, Lease(entry, Terms(0.0, nullcontext()), entry.deliveries, 0.0))
