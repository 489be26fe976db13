"""`Storyteller`: where one message is, and what became of it."""

from __future__ import annotations

from streamix_queue.admin.story.search import Search
from streamix_queue.admin.story.story import Story
from streamix_queue.admin.stream_client import StreamClient
from streamix_queue.core.config import number, text

__all__ = ["Storyteller"]

DEFAULT_SCAN = 10_000


class Storyteller(StreamClient):
    """Tells where a message is, and what became of it. Only reads.

    Not thread-safe: one for each thread. May be used as a context manager.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream, not its dead-letter stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def story(self, message: str, *, scan: int = DEFAULT_SCAN) -> Story:
        """The story of a message, whether it is found or not.

        It is put together from several reads, while the groups go on: of what moves meanwhile
        two places may be told, or the one before.

        Args:
            message: Id of an entry of the stream, of an inbox or of a dead letter
                (``1713982500001-0``), or of a message.
            scan: How much of each place is looked through: the newest entries of the stream (only
                for the id of a message), the newest of each group's inboxes, its delayed retries
                that are due next, and the newest dead letters. Of a group with more than 100
                events only the inboxes of those that were handled last are looked through when
                the event of the message is not known.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        text("message", message)
        number("scan", scan, 1, 2**53)
        return Search(self._operator, self._stream, message, scan).story()
