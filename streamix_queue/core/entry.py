"""An entry as Redis delivered it to this process: what does not change any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from streamix_queue.core.wire import MESSAGE

__all__ = ["Entry", "entries_of", "entry_of"]


class Entry(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An entry of a stream, as one delivery brought it to this process; made by `entry_of`.

    The garbage collector does not visit it, for thousands are held at once: nothing that it holds
    may refer back to it. Most entries have a message and nothing beside it; these hold nothing that
    the collector would have to visit either, which is worth a twentieth of the rate.

    Attributes:
        key: The stream it was read from: the shared one, or an inbox of the group.
        id: Its id there.
        message: The value of field ``message``, if it is the only field.
        fields: Names and values in turn, as Redis sent them, if it is not; kept whole, for the dead
            letter of an entry that cannot be decoded.
        deliveries: Redis' delivery count of this delivery.
        source: ``new``, ``inbox``, ``reclaim`` or ``recovered`` (its first reply was lost): how it
            came to us.
        read_at: ``time.perf_counter()`` when it was read (s).
    """

    key: bytes
    id: bytes
    message: bytes | None
    fields: tuple[bytes, ...]
    deliveries: int
    source: str
    read_at: float

    @property
    def suspect(self) -> bool:
        """True if it was delivered before without a recorded outcome: it may have killed its process."""
        return self.deliveries > 1

    @property
    def size(self) -> int:
        """Bytes of its fields: beside the message there may be a trace context, which is small."""
        return len(self.message) if self.message is not None else sum(map(len, self.fields))

    @property
    def all_fields(self) -> tuple[bytes, ...]:
        """Names and values in turn, as Redis sent them."""
        return self.fields if self.message is None else (MESSAGE, self.message)


def entry_of(
    key: bytes, entry_id: bytes, fields: Sequence[bytes], deliveries: int, source: str, read_at: float
) -> Entry:
    """The entry with these fields, names and values in turn."""
    if len(fields) == 2 and fields[0] == MESSAGE:
        return Entry(key, entry_id, fields[1], (), deliveries, source, read_at)
    return Entry(key, entry_id, None, tuple(fields), deliveries, source, read_at)


def entries_of(
    key: bytes, read: Iterable[tuple[bytes, Sequence[bytes] | None]], source: str, read_at: float
) -> list[Entry]:
    """The entries of one stream in the reply to a read, each delivered for the first time.

    What has been trimmed away meanwhile has no fields, and is left out.
    """
    # As `entry_of`, without a call for each: this is done for every message.
    return [
        Entry(key, entry_id, fields[1], (), 1, source, read_at)
        if len(fields) == 2 and fields[0] == MESSAGE
        else Entry(key, entry_id, None, tuple(fields), 1, source, read_at)
        for entry_id, fields in read
        if fields is not None
    ]
