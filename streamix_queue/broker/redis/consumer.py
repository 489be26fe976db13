"""What the actors ask, on Redis or Valkey: one member of a group, on a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from streamix_queue.broker.protocol import (
    HANDLER_TTL_MS,
    Answer,
    Claimed,
    Due,
    Duty,
    Entry,
    Taken,
)
from streamix_queue.broker.redis import pauses, retention
from streamix_queue.broker.redis.groups import groups, latest_events
from streamix_queue.broker.redis.link import Call, Link, load_script
from streamix_queue.broker.redis.settle import SettleCalls, script_text
from streamix_queue.core.commands import Command, Fence
from streamix_queue.core.errors import BrokerError, BrokerRefused, ClusterKeyError, OutOfMemory
from streamix_queue.core.keys import Keys, hash_tagged
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.retention import Trimming
from streamix_queue.core.wire import outline

__all__ = ["RedisConsumerBroker"]

_RENEW = load_script("renew")
_RECLAIM = load_script("reclaim")
_TAKE = load_script("take")
_SUSPECT = load_script("suspect")
_DUE = load_script("due")
_PROMOTE = load_script("promote")
_CANCEL = load_script("cancel")
_REGISTER = load_script("register")
_DEPART = load_script("depart")
_REMOVE_IDLE = load_script("remove_idle")
_FORGET = load_script("forget")

_INTERRUPT_S = 1.0
_SUSPECT_TTL_MS = 7 * 86_400_000


class RedisConsumerBroker:
    """`ConsumerBroker` on redis-py connections. Owned by one thread, see the protocol.

    Args:
        url: The server.
        keys: The group's keys.
        consumer: This member's name.
        timeout_s: How long to wait for a reply, in seconds; a reader's has to exceed its block.
    """

    def __init__(self, url: str, keys: Keys, consumer: str, *, timeout_s: float = 5.0) -> None:
        self._link = Link(url, timeout_s)
        self._url = url
        self._keys = keys
        self._group = keys.group
        self._consumer = consumer.encode()
        # Written by the owner, read by `interrupt`: the read under way, and whose connection it is on.
        self._reading: object = None
        self._client_id: int | None = None
        self._client_of = 0
        self._interrupted = False
        self.unacked = 0
        """Entries of the last `settle` that were acked and not pending any more."""

    def connect(self) -> None:
        self._link.connect()
        refuse_untagged(self._link, self._keys.stream_name)

    def now_ms(self) -> int:
        return self._link.now_ms()

    def ensure_group(self, key: bytes, start: str) -> int | None:
        return ensure_group(self._link, key, self._group, start)

    def read(self, keys: Sequence[bytes], count: int, block_ms: int) -> list[tuple[bytes, list[Entry]]]:
        self._reading = object()
        try:
            self._learn_client_id()
            # BLOCK 0 would mean for ever. The flag comes last: see `interrupt`.
            block: Call = () if block_ms <= 0 or self._interrupted else ("BLOCK", block_ms)
            group: Call = ("GROUP", self._group, self._consumer, "COUNT", count)
            streams: Call = ("STREAMS", *keys, *[b">"] * len(keys))
            reply: list[tuple[bytes, list[Entry]]] | None
            reply = self._link.call("XREADGROUP", *group, *block, *streams)
            return reply or []
        finally:
            self._reading = None
            self._interrupted = False

    def settle(self, commands: Sequence[Command]) -> list[Answer]:
        plan = SettleCalls(self._keys, self._consumer, commands)
        replies = self._link.calls(plan.calls)
        self._run_unknown_scripts(plan.calls, replies)
        self.unacked = plan.unacked(replies)
        return list(plan.answers(replies, self._link.refusal))

    def _run_unknown_scripts(self, calls: Sequence[Call], replies: list[Any]) -> None:
        """Load and run again what the server did not know: it was restarted, or flushed."""
        unknown = [
            i
            for i, reply in enumerate(replies)
            if isinstance(reply, BrokerError) and reply.code == "NOSCRIPT"
        ]
        if unknown:
            again: list[Call] = [("EVAL", script_text(calls[i]), *calls[i][2:]) for i in unknown]
            for i, reply in zip(unknown, self._link.calls(again), strict=True):
                replies[i] = reply

    def renew(self, key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[int]:
        flat = [part for lease in leases for part in lease]
        answers: list[int] = self._link.script(_RENEW, [key], self._group, self._consumer, *flat)
        return answers

    def reclaim(
        self, key: bytes, min_idle_ms: int, cursor: bytes, count: int, latest_ms: int | None = None
    ) -> Claimed:
        latest = "" if latest_ms is None else latest_ms
        reply = self._link.script(
            _RECLAIM, [key], self._group, self._consumer, min_idle_ms, cursor, count, latest
        )
        if reply is None:
            return Claimed(cursor, [], [], late=True)
        cursor, entries, trimmed = reply
        return Claimed(cursor, [tuple(entry) for entry in entries], trimmed)

    def own_pending(self, key: bytes, limit: int) -> list[tuple[bytes, int]]:
        pending = self._link.call("XPENDING", key, self._group, "-", "+", limit, self._consumer)
        return [(entry_id, deliveries) for entry_id, _, _, deliveries in pending]

    def take(self, key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[Taken]:
        flat = [part for lease in leases for part in lease]
        entries = self._link.script(_TAKE, [key], self._group, self._consumer, *flat)
        return [tuple(entry) for entry in entries]

    def suspect(self, fence: Fence) -> int:
        field = self._keys.suspect_field(fence.key, fence.entry_id)
        starts: int = self._link.script(
            _SUSPECT,
            [fence.key, self._keys.suspects],
            *(self._group, self._consumer, fence.entry_id, fence.deliveries, int(fence.or_absent)),
            *(field, _SUSPECT_TTL_MS),
        )
        return starts

    def due(self, limit: int) -> Due:
        keys = [self._keys.delayed, self._keys.nudge, self._keys.paused]
        members, wait, nudge, paused = self._link.script(_DUE, keys, limit)
        names = frozenset(map(as_text, paused))
        return Due(members, None if wait < 0 else wait, nudge, names)

    def promote(self, members: Sequence[bytes]) -> int:
        inboxes = [self._keys.inbox(outline(member)[0].decode()) for member in members]
        moved: int = self._link.script(_PROMOTE, [self._keys.delayed, *inboxes], *members)
        return moved

    def discard_delayed(self, member: bytes, fields: Sequence[bytes]) -> None:
        self._link.script(_CANCEL, [self._keys.delayed, self._keys.failed], member, *fields)

    def register(self, events: Sequence[str]) -> None:
        self._link.script(_REGISTER, [self._keys.handlers], HANDLER_TTL_MS, *events)

    def depart(self, keys: Sequence[bytes]) -> None:
        self._link.script(_DEPART, keys, self._group, self._consumer)

    # --- for the janitor, and pauses ------------------------------------------------------------

    def take_duty(self, keep_ms: int | None, ttl_ms: int) -> Duty:
        return retention.take_duty(self._link, self._keys, self._consumer, keep_ms, ttl_ms)

    def trim(self, key: bytes, keep_ms: int | None, limit: int, pinned_after_ms: int) -> Trimming:
        inbox = self._keys.is_inbox(key)
        keeps = None if inbox else self._keys.keeps
        return retention.trim(self._link, key, keep_ms, limit, pinned_after_ms, keeps=keeps, whole=inbox)

    def registered(self, limit: int) -> list[str]:
        events: list[bytes] = self._link.call(*latest_events(self._keys, limit))
        return [event.decode() for event in events]

    def remove_idle(self, keys: Sequence[bytes], idle_ms: int) -> list[str]:
        names: list[bytes] = self._link.script(_REMOVE_IDLE, keys, self._group, self._consumer, idle_ms)
        return sorted(map(as_text, names))

    def forget_suspects(self, cursor: int, count: int) -> tuple[int, int]:
        keys = self._keys
        following, flat = self._link.call("HSCAN", keys.suspects, cursor, "COUNT", count)
        fields = [field for field in flat[::2] if _is_suspect(field)]
        if not fields:
            return int(following), 0
        entries = [keys.suspect(field) for field in fields]
        streams, ids = zip(*entries, strict=True)
        pairs = [part for pair in zip(fields, ids, strict=True) for part in pair]
        forgotten: int = self._link.script(_FORGET, [keys.suspects, *streams], keys.group, *pairs)
        return int(following), forgotten

    def pause(self, events: Sequence[str]) -> int:
        return pauses.pause(self._link, self._keys, events)

    def resume(self, events: Sequence[str]) -> int:
        return pauses.resume(self._link, self._keys, events)

    def paused(self) -> dict[str, int]:
        return pauses.paused(self._link, self._keys)

    # --- the connection -------------------------------------------------------------------------

    def interrupt(self) -> None:
        # Either the read sees the flag before it is sent, or we see the read and unblock it. It may
        # still be on its way to Redis, where nothing is blocked yet: hence the loop.
        self._interrupted = True
        read = self._reading
        deadline = time.monotonic() + _INTERRUPT_S
        other = self._link.sibling(_INTERRUPT_S)
        try:
            while read is not None and read is self._reading and time.monotonic() < deadline:
                # (Another node of a cluster knows another client by that number.)
                client_id = self._client_id if self._client_of == self._link.opened else None
                if client_id is not None and other.call("CLIENT", "UNBLOCK", client_id):
                    break
                time.sleep(0.002)
        except BrokerError:
            pass  # not allowed, or Redis is away: the read ends by its own timeout
        finally:
            other.close()

    def abort(self) -> None:
        self._link.abort()

    def close(self) -> None:
        self._link.close()

    def _learn_client_id(self) -> None:
        self._link.connect()
        if self._client_of == self._link.opened:
            return
        self._client_id = None
        try:
            self._client_id = self._link.call("CLIENT", "ID")
        except BrokerError:
            if not self._link.connected:
                raise
            # Not allowed: an interrupt then waits for the block to end.
        self._client_of = self._link.opened


def _is_suspect(field: bytes) -> bool:
    """True for a field that we wrote; an id that is none would end the script."""
    ms, _, seq = field.rpartition(b"/")[2].partition(b"-")
    return ms.isdigit() and seq.isdigit() and max(len(ms), len(seq)) <= 20


def refuse_untagged(link: Link, stream: str) -> None:
    """Raise `ClusterKeyError` for a stream without a hash tag on a Redis Cluster."""
    try:
        info = link.call("INFO", "cluster")
    except BrokerError:
        return  # no right to ask: a wrong key then fails at its first use, if less clearly
    if b"cluster_enabled:1" in info and hash_tagged(stream) != stream:
        raise ClusterKeyError(
            f"stream={stream!r}: on a Redis Cluster a stream needs a hash tag, so that its side keys "
            f"share one slot: use {hash_tagged(stream)!r}"
        )


def ensure_group(link: Link, key: bytes, group: bytes, start: str) -> int | None:
    """Create stream and group; the stream's length if the group is new, else None."""
    try:
        link.call("XGROUP", "CREATE", key, group, start, "MKSTREAM")
    except BrokerError as error:
        if error.code == "BUSYGROUP" or _exists_already(link, key, group, error):
            return None
        raise
    length: int = link.call("XLEN", key)
    return length


def _exists_already(link: Link, key: bytes, group: bytes, error: BrokerError) -> bool:
    """Full, or no right to make groups: Redis says so before it looks whether there is one."""
    if not isinstance(error, (OutOfMemory, BrokerRefused)):
        return False
    try:
        return any(each.name == group for each in groups(link, key))
    except BrokerError:
        return False
