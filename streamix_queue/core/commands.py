"""What the settler asks the broker to do with entries we hold: commands and their answers.

Structs, for one is made for each message that fails; nothing in them can refer back to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec

__all__ = [
    "FENCED",
    "Absolve",
    "Ack",
    "Command",
    "DeadLetter",
    "Fence",
    "HandBack",
    "HandOver",
    "Park",
    "RetryLater",
    "Verdict",
]


class Verdict(IntEnum):
    """What became of a command."""

    DONE = 1
    DROPPED = 2
    """`HandOver` only: nobody in the group handles the event, so it was acked."""
    GONE = 0
    """Not pending any more: settled before (by us, if a reply was lost) or trimmed."""
    STOLEN = -1
    """Another member owns it; nothing was written."""


class Fence(msgspec.Struct, frozen=True, gc=False):
    """Our hold on one pending entry, and the proof of it.

    Attributes:
        key: The stream.
        entry_id: The entry.
        deliveries: The delivery count; with the consumer's name it is the fencing token.
        or_absent: It was pending for nobody while our lease ran, so nobody else can have had it: it was
            trimmed or its group destroyed, and we hold the only copy. If it is pending for nobody
            still, the command is carried out all the same. A command that writes the message elsewhere
            may claim it after the fact only: who reasons "my lease runs, so I may" can be frozen
            between the reasoning and the command. What writes no copy of a message (a start that is
            counted, the marker of a trimmed entry) claims it beforehand.
    """

    key: bytes
    entry_id: bytes
    deliveries: int
    or_absent: bool


class Ack(msgspec.Struct, frozen=True, gc=False):
    """Ack entries of one stream; needs no fence, for the work is done. Answer: `DONE`."""

    key: bytes
    entry_ids: Sequence[bytes]


class RetryLater(msgspec.Struct, frozen=True, gc=False):
    """Still ours? → into the delayed set, due in ``delay_ms`` → ack."""

    fence: Fence
    delay_ms: int
    event: str
    fields: Sequence[bytes]


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """Still ours? → onto the dead-letter stream → ack."""

    fence: Fence
    fields: Sequence[bytes]


class HandOver(msgspec.Struct, frozen=True, gc=False):
    """Still ours? → onto the inbox of ``event`` → ack; `DROPPED` if nobody handles it."""

    fence: Fence
    event: str
    fields: Sequence[bytes]


class Park(msgspec.Struct, frozen=True, gc=False):
    """Still ours? → onto the inbox of ``event`` → ack: this member handles it, but not now."""

    fence: Fence
    event: str
    fields: Sequence[bytes]


class HandBack(msgspec.Struct, frozen=True, gc=False):
    """Still ours? → idle for ``idle_ms`` as of now and one delivery fewer: as if never taken."""

    fences: Sequence[Fence]
    idle_ms: int


class Absolve(msgspec.Struct, frozen=True, gc=False):
    """Forget that these entries were suspects: they have ended otherwise. Answer: `DONE`."""

    fences: Sequence[Fence]


Command = Ack | RetryLater | DeadLetter | HandOver | Park | HandBack | Absolve

FENCED = (RetryLater, DeadLetter, HandOver, Park)
"""Those that write the message elsewhere before they ack it."""
