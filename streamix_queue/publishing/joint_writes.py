"""What several threads write at the same moment goes to Redis together: one round trip for all."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence

from streamix_queue.core.errors import BrokerError, BrokerUnavailable
from streamix_queue.core.wire import Fields

__all__ = ["JointWrites"]

Send = Callable[[Sequence[Fields]], "list[bytes | Exception]"]
"""Writes entries in one round trip; the id of each, or the error that Redis gave."""

# With one at a time a slow link would carry half as much; with many there is nothing to join.
_MOST_UNDER_WAY = 4
_MOST_TOGETHER = 500


class _Write:
    """One entry, and the thread that waits for its answer.

    Attributes:
        answer: The entry's id or Redis's refusal, once it was sent.
        to_send: Set instead if its own thread is to send: this write and others that waited.
    """

    __slots__ = ("_done", "answer", "fields", "to_send")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.answer: bytes | Exception | None = None
        self.to_send: list[_Write] | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Wait for `wake`; False if it did not come within ``timeout_s`` seconds."""
        return self._done.acquire(timeout=timeout_s)

    def wake(self) -> None:
        """Let its thread go on: it has its answer, or is to send."""
        self._done.release()


class JointWrites:
    """Thread-safe, but of one process: a forked child needs another. A thread alone sends at once.

    While `_MOST_UNDER_WAY` round trips are under way, the threads that come later wait. A thread
    that comes back from a round trip chooses one of the waiting ones, which then sends what all of
    them want to write; so no thread works for others once its own answer is there. The writes of
    one thread stay in order, because it waits for each.

    Args:
        send: Called on the threads that write. Bounded in time.
        patience_s: How long to wait for the others before sending alone, in seconds: longer than
            two ``send`` can take. Needed only if the thread that was chosen to send dies of an
            exception (Ctrl-C) before it begins to, and so wakes nobody.
    """

    def __init__(self, send: Send, patience_s: float) -> None:
        self._send = send
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._waiting: list[_Write] = []  # guarded by the lock, like the number of those under way
        self._under_way = 0

    def write(self, fields: Fields) -> bytes:
        """Write one entry and return its id.

        Raises:
            BrokerUnavailable: as ``send``; it may have been written unless the error says otherwise.
            BrokerError: Redis refused this one.
        """
        mine = _Write(fields)
        with self._lock:
            if self._under_way < _MOST_UNDER_WAY:
                self._under_way += 1
                mine.to_send = [mine]
            else:
                self._waiting.append(mine)
        if mine.to_send is None and not self._wait(mine):
            mine.to_send = [mine]
            with self._lock:
                self._under_way += 1
        if mine.to_send is not None:
            self._send_all(mine.to_send, mine)
        answer = mine.answer
        assert answer is not None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _wait(self, mine: _Write) -> bool:
        """Wait until it has its answer or is to send; False if no thread has taken it up in time."""
        try:
            if mine.wait(self._patience_s):
                return True
            if self._withdrawn(mine):
                return False
            if not mine.wait(self._patience_s):
                mine.answer = BrokerUnavailable("the thread that sent it does not come back")
        except BaseException:  # Ctrl-C
            if not self._withdrawn(mine) and mine.to_send is not None:
                self._pass_on([write for write in mine.to_send if write is not mine])
            raise
        return True

    def _withdrawn(self, mine: _Write) -> bool:
        """Take it out of those that wait; False if it was in a round trip, or chosen to send, by then."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return True
        return False

    def _send_all(self, writes: list[_Write], mine: _Write) -> None:
        # For the others, if an exception (Ctrl-C) ends this thread: whether Redis has theirs is unknown.
        error: BrokerError = BrokerUnavailable("the thread that sent it was interrupted")
        answers: Sequence[bytes | Exception] = ()
        try:
            answers = self._send([write.fields for write in writes])
        except BrokerError as failure:
            error = failure
        finally:
            self._pass_on([])
            for index, write in enumerate(writes):
                # A copy for each, or each thread that raises it would add its traceback to the same one.
                write.answer = answers[index] if answers else copy.copy(error)
                if write is not mine:
                    write.wake()

    def _pass_on(self, left: list[_Write]) -> None:
        """Make the first write of ``left`` and of those that wait send them all.

        Without any, one round trip less is under way.
        """
        with self._lock:
            room = _MOST_TOGETHER - len(left)
            left = [*left, *self._waiting[:room]]
            del self._waiting[:room]
            if not left:
                self._under_way -= 1
                return
            left[0].to_send = left
        left[0].wake()
