"""Every Redis key name is built here."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Keys", "dead_letter_key", "hash_tagged"]


def dead_letter_key(stream: str) -> str:
    """The dead-letter stream of ``stream``; the name is 0.1.0's."""
    return f"{stream}:failed"


def hash_tagged(stream: str) -> str:
    """``stream`` with a hash tag, so that all keys derived from it share one cluster slot."""
    # Redis looks at the first "{" and the first "}" after it; an empty tag is none.
    _, _, after = stream.partition("{")
    tag, closed, _ = after.partition("}")
    return stream if tag and closed else f"{{{stream}}}"


@dataclass(frozen=True)
class Keys:
    """The keys of one consumer group on one stream, as bytes.

    Attributes:
        stream: The shared stream; other groups and 0.1.0 use it too.
        failed: The dead-letter stream, shared by all groups of the stream.
        delayed: Sorted set of retries that wait; the score is the due time in server ms.
        handlers: Sorted set: event → last time (server ms) that a member said it handles it.
        suspects: Hash: entry → how often it was started alone after a crash.
        nudge: String that changes when a member hands entries back, so that others look at once.
        paused: Hash: event → since when (server ms) it is not to be started.
        keeps: Hash of the stream: group → how long it wants everything to be kept (ms).
        janitor: Lock of the stream: which member of any group trims it.
        upkeep: Lock of the group: which of its members clears up after it.
    """

    stream_name: str
    group_name: str
    stream: bytes = field(init=False)
    group: bytes = field(init=False)
    failed: bytes = field(init=False)
    delayed: bytes = field(init=False)
    handlers: bytes = field(init=False)
    suspects: bytes = field(init=False)
    nudge: bytes = field(init=False)
    paused: bytes = field(init=False)
    keeps: bytes = field(init=False)
    janitor: bytes = field(init=False)
    upkeep: bytes = field(init=False)
    _inbox_prefix: bytes = field(init=False)

    def __post_init__(self) -> None:
        stream, group = self.stream_name.encode(), self.group_name.encode()
        own = stream + b":" + group
        for name, value in (
            ("stream", stream),
            ("group", group),
            ("failed", dead_letter_key(self.stream_name).encode()),
            ("delayed", own + b":delayed"),
            ("handlers", own + b":handlers"),
            ("suspects", own + b":suspects"),
            ("nudge", own + b":nudge"),
            ("paused", own + b":paused"),
            ("keeps", stream + b":keeps"),
            ("janitor", stream + b":janitor"),
            ("upkeep", own + b":upkeep"),
            ("_inbox_prefix", own + b":inbox:"),
        ):
            object.__setattr__(self, name, value)

    def inbox(self, event: str) -> bytes:
        """The group's private stream for ``event``: retries, replays and hand-overs."""
        return self._inbox_prefix + event.encode()

    def is_inbox(self, key: bytes) -> bool:
        """True for a private stream of this group, whose entries are deleted with their ack."""
        return key.startswith(self._inbox_prefix)

    def suspect_field(self, key: bytes, entry_id: bytes) -> bytes:
        """The field of an entry in `suspects`."""
        if key == self.stream:
            return entry_id
        return key[len(self._inbox_prefix) :] + b"/" + entry_id

    def suspect(self, suspect_field: bytes) -> tuple[bytes, bytes]:
        """The key and the id of the entry in a `suspect_field`."""
        event, of_inbox, entry_id = suspect_field.rpartition(b"/")
        return (self._inbox_prefix + event if of_inbox else self.stream), entry_id
