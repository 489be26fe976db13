"""An entry as Redis delivered it to this process: what does not change any more."""

from __future__ import annotations

import msgspec

__all__ = ["Entry"]


class Entry(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An entry of a stream, as one delivery brought it to this process.

    The garbage collector does not visit it, for thousands are held at once: nothing that it holds
    may refer back to it.

    Attributes:
        key: The stream it was read from: the shared one, or an inbox of the group.
        id: Its id there.
        fields: Names and values in turn, as Redis sent them. Kept whole, for the dead letter of an
            entry that cannot be decoded.
        deliveries: Redis' delivery count of this delivery.
        source: ``new``, ``inbox``, ``reclaim`` or ``recovered`` (its first reply was lost): how it
            came to us.
        read_at: ``time.perf_counter()`` when it was read (s).
    """

    key: bytes
    id: bytes
    fields: tuple[bytes, ...]
    deliveries: int
    source: str
    read_at: float

    @property
    def suspect(self) -> bool:
        """True if it was delivered before without a recorded outcome: it may have killed its process."""
        return self.deliveries > 1
