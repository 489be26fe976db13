"""A publish on its way, as an interceptor sees it."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.core.message import StreamMessage

__all__ = ["Publication"]


class Publication:
    """One ``publish()`` or ``publish_many()``. Owned by the calling thread.

    Attributes:
        stream: Where to.
        messages: In the order of writing.
        sizes: Encoded size of each, bytes.
        batch: True for ``publish_many()``, also of one message.
        carriers: For each message the fields to write beside it; empty until somebody fills them.
        entry_ids: Ids of the entries, in order; filled as Redis confirms them.
        shed: How many of the messages, from the end, are not written by choice (``on_full="shed"``).
    """

    __slots__ = ("batch", "carriers", "entry_ids", "messages", "shed", "sizes", "stream")

    def __init__(
        self, stream: str, messages: Sequence[StreamMessage], sizes: Sequence[int], *, batch: bool
    ) -> None:
        self.stream = stream
        self.messages = messages
        self.sizes = sizes
        self.batch = batch
        self.carriers: list[dict[str, str]] = [{} for _ in messages]
        self.entry_ids: list[bytes] = []
        self.shed = 0

    def confirm(self, answers: Sequence[bytes | Exception], start: int, written: list[int]) -> None:
        """Note what Redis answered to one round trip of a batch; raises its first refusal.

        What is behind a refusal may be in: Redis carries each out by itself, and memory may have
        become free.

        Args:
            answers: The id of each entry, or why it was refused.
            start: Which message the first answer is for.
            written: Gets the index of every message that is on the stream.
        """
        refusal: Exception | None = None
        for index, answer in enumerate(answers, start):
            if isinstance(answer, Exception):
                refusal = refusal or answer
            else:
                written.append(index)
                if refusal is None:
                    self.entry_ids.append(answer)
        if refusal is not None:
            raise refusal
