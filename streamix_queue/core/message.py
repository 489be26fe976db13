"""The message as users see it, and the envelope that 0.1.0 wrote."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

__all__ = ["ShedMessage", "StreamMessage", "Timestamps"]

_NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class Timestamps(msgspec.Struct, gc=False):  # nothing but text: it can be in no cycle
    """When a message was made and last changed: ISO 8601 text in UTC, as 0.1.0 wrote it."""

    created_at: str
    updated_at: str


class StreamMessage(msgspec.Struct):
    """One message: what ``publish()`` returns and a two-argument handler receives.

    Attributes:
        id: UUID text; stays the same through every retry, dead letter and replay.
        event: Name of the event, e.g. ``"user.created"``.
        data: The payload, a JSON object.
        retries: How many attempts failed before this one (0 on the first).
        timestamps: ``created_at`` and ``updated_at``, ISO 8601 text.
    """

    id: _NonEmpty
    event: _NonEmpty
    data: dict[str, Any]
    retries: Annotated[int, msgspec.Meta(ge=0)]
    timestamps: Timestamps

    @property
    def published(self) -> bool:
        """False only for a `ShedMessage`."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """The message as plain JSON types, keys in the order of the wire."""
        return {
            "id": self.id,
            "event": self.event,
            "data": self.data,
            "retries": self.retries,
            "timestamps": {
                "created_at": self.timestamps.created_at,
                "updated_at": self.timestamps.updated_at,
            },
        }


class ShedMessage(StreamMessage):
    """What ``publish()`` returns for a message that it did not write, by choice.

    With ``on_full="shed"``, when the slowest group is too far behind. Nobody will see its id.
    """

    @property
    def published(self) -> bool:
        """False."""
        return False
