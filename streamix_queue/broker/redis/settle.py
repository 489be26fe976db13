"""What the settler's commands are on the wire, and which reply answers which of them. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis

from streamix_queue.broker.protocol import HANDLER_TTL_MS, Answer
from streamix_queue.broker.redis.link import Argument, Call, load_script
from streamix_queue.core import commands
from streamix_queue.core.commands import Command, Fence, Verdict
from streamix_queue.core.errors import BrokerError
from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import OVERFLOW, frame

__all__ = ["SettleCalls", "script_text"]

_RETRY_LATER = load_script("retry_later")
_DEAD_LETTER = load_script("dead_letter")
_HAND_OVER = load_script("hand_over")
_HAND_BACK = load_script("hand_back")

_BY_DIGEST = {script.digest: script for script in (_RETRY_LATER, _DEAD_LETTER, _HAND_OVER, _HAND_BACK)}
# What one script may move before others have their turn: some 5 µs for each, and their bytes.
_MOST_RETRIES = 64
_MOST_BYTES = 256 * 1024
_MAX_PARTS = 7000


def script_text(call: Call) -> bytes:
    """The text of the script that an ``EVALSHA`` of ours names by its digest."""
    return _BY_DIGEST[call[1]].text  # type: ignore[index]


class SettleCalls:
    """The calls for the commands of one round trip.

    Retries go together, many to a script: each costs its own call more than all the rest of it.

    Args:
        keys: The group's keys.
        consumer: This member's name, UTF-8.
        asked: What is to be settled.

    Attributes:
        calls: What to send; the replies to it are what `answers` wants.
    """

    def __init__(self, keys: Keys, consumer: bytes, asked: Sequence[Command]) -> None:
        self._keys = keys
        self._whose = (keys.group, consumer)
        self._asked = asked
        self.calls: list[Call] = []
        # For each command where its replies are: those of some calls, or one place in a reply.
        self._spans: list[tuple[int, int]] = [(0, 0)] * len(asked)
        self._places: dict[int, int] = {}
        retries: dict[bytes, list[int]] = {}
        for index, command in enumerate(asked):
            if isinstance(command, commands.RetryLater):
                retries.setdefault(command.fence.key, []).append(index)
            else:
                self._add([index], self._calls_of(command))
        for key, indexes in retries.items():
            for part in self._parts(indexes):
                self._add(part, [self._retry_later(key, part)])
                self._places.update({index: place for place, index in enumerate(part)})

    def _add(self, indexes: Sequence[int], calls: Sequence[Call]) -> None:
        start = len(self.calls)
        self.calls += calls
        for index in indexes:
            self._spans[index] = (start, len(self.calls))

    def unacked(self, replies: Sequence[Any]) -> int:
        """Entries that were acked and not pending any more."""
        return sum(
            len(command.entry_ids) - replies[start]
            for command, (start, _) in zip(self._asked, self._spans, strict=True)
            if isinstance(command, commands.Ack) and isinstance(replies[start], int)
        )

    def answers(
        self, replies: Sequence[Any], refused: Callable[[redis.ResponseError], BrokerError]
    ) -> Iterator[Answer]:
        """The answer to each command.

        Args:
            replies: One for each call; errors among them as a broker's errors.
            refused: Makes a broker's error of one that Redis gave inside a reply.
        """
        for index, (start, end) in enumerate(self._spans):
            place = self._places.get(index)
            if place is None or isinstance(replies[start], Exception):
                yield _answer(self._asked[index], replies[start:end])
            else:
                reply = replies[start][place]
                yield refused(reply) if isinstance(reply, redis.ResponseError) else Verdict(reply)

    def _calls_of(self, command: Command) -> list[Call]:
        keys = self._keys
        if isinstance(command, commands.Ack):
            ack: Call = ("XACK", command.key, keys.group, *command.entry_ids)
            if keys.is_inbox(command.key):
                # Acked first: an entry deleted while pending would look like one trimmed away.
                return [ack, ("XDEL", command.key, *command.entry_ids)]
            return [ack]
        if isinstance(command, commands.DeadLetter):
            call = _evalsha(_DEAD_LETTER.digest, (command.fence.key, keys.failed, keys.suspects))
            return [(*call, *self._fence(command.fence), *_unpackable(command.fields))]
        if isinstance(command, (commands.HandOver, commands.Park)):
            inbox = keys.inbox(command.event)
            call = _evalsha(_HAND_OVER.digest, (command.fence.key, inbox, keys.handlers, keys.suspects))
            routing: Call = (HANDLER_TTL_MS, command.event, int(isinstance(command, commands.Park)))
            return [(*call, *self._fence(command.fence), *routing, *_unpackable(command.fields))]
        if isinstance(command, commands.HandBack):
            call = _evalsha(_HAND_BACK.digest, (command.fences[0].key, keys.nudge))
            return [(*call, *self._whose, command.idle_ms, *_pairs(command.fences))]
        assert isinstance(command, commands.Absolve)
        fields = [keys.suspect_field(fence.key, fence.entry_id) for fence in command.fences]
        return [("HDEL", keys.suspects, *fields)]

    def _parts(self, indexes: Sequence[int]) -> Iterator[list[int]]:
        """What one script can carry: not too many retries, nor too big ones."""
        part: list[int] = []
        size = 0
        for index in indexes:
            part.append(index)
            size += sum(map(len, self._retry(index).fields))
            if len(part) == _MOST_RETRIES or size > _MOST_BYTES:
                yield part
                part, size = [], 0
        if part:
            yield part

    def _retry(self, index: int) -> commands.RetryLater:
        command = self._asked[index]
        assert isinstance(command, commands.RetryLater)
        return command

    def _retry_later(self, key: bytes, indexes: Sequence[int]) -> Call:
        """One call for retries of the stream ``key``."""
        keys = self._keys
        flat: list[Argument] = []
        for retry in map(self._retry, indexes):
            fence = retry.fence
            member = frame([retry.event.encode(), *_unpackable(retry.fields)])
            flat += (fence.entry_id, fence.deliveries, int(fence.or_absent))
            flat += (keys.suspect_field(key, fence.entry_id), retry.delay_ms, member)
        call = _evalsha(_RETRY_LATER.digest, (key, keys.delayed, keys.suspects))
        return (*call, *self._whose, int(keys.is_inbox(key)), *flat)

    def _fence(self, fence: Fence) -> Call:
        field = self._keys.suspect_field(fence.key, fence.entry_id)
        inbox = int(self._keys.is_inbox(fence.key))
        return (*self._whose, fence.entry_id, fence.deliveries, int(fence.or_absent), inbox, field)


def _unpackable(fields: Sequence[bytes]) -> Sequence[bytes]:
    """What a script can pass on, for Lua's unpack() gives up at 8000: the rest in one field, whole."""
    if len(fields) <= _MAX_PARTS:
        return fields
    return [*fields[:_MAX_PARTS], OVERFLOW, frame(fields[_MAX_PARTS:])]


def _evalsha(digest: bytes, keys: tuple[bytes, ...]) -> Call:
    return ("EVALSHA", digest, len(keys), *keys)


def _pairs(fences: Sequence[Fence]) -> list[Argument]:
    flat: list[Argument] = []
    for fence in fences:
        flat += (fence.entry_id, fence.deliveries)
    return flat


def _answer(command: Command, replies: Sequence[Any]) -> Answer:
    for reply in replies:
        if isinstance(reply, Exception):
            return reply
    if isinstance(command, (commands.Ack, commands.Absolve)):
        return Verdict.DONE
    if isinstance(command, commands.HandBack):
        return [Verdict(code) for code in replies[0]]
    return Verdict(replies[0])
