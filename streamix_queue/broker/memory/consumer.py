"""What the actors ask, without Redis: what they are tested against, and users' handlers too.

It mirrors `redis.consumer` on Redis 7 and later; one conformance suite (`tests/broker`) holds both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from streamix_queue.broker.memory import pauses, retention
from streamix_queue.broker.memory.publisher import MemoryPublisherBroker, ensure_group
from streamix_queue.broker.memory.store import (
    EntryId,
    Hash,
    MemoryServer,
    SortedSet,
    Store,
    Stream,
    Text,
    id_bytes,
    parse_id,
)
from streamix_queue.broker.protocol import (
    HANDLER_TTL_MS,
    Answer,
    Claimed,
    Due,
    Duty,
    Entry,
    Standing,
    Taken,
)
from streamix_queue.core import commands, wire
from streamix_queue.core.commands import Command, Fence, Verdict
from streamix_queue.core.errors import (
    BrokerError,
    BrokerUnavailable,
    GroupMissing,
    WrongKeyType,
)
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import Trimming

__all__ = ["MemoryConsumerBroker", "MemoryPublisherBroker", "MemoryServer"]

_PUT_OFF_MS = 60_000  # when a retry is looked at again whose inbox cannot take it


class MemoryConsumerBroker:
    """One member of one group. Belongs to one thread, but for `interrupt` and `abort`."""

    def __init__(self, server: MemoryServer, keys: Keys, consumer: str) -> None:
        self._server = server
        self._keys = keys
        self._group = keys.group
        self._me = consumer.encode()
        # Written by other threads, each before it wakes the reader that is to see it.
        self._interrupted = False
        self._aborted = False
        self._carry_out: dict[type, Callable[..., Answer]] = {
            commands.Ack: self._ack,
            commands.RetryLater: self._retry_later,
            commands.DeadLetter: self._dead_letter,
            commands.HandOver: self._hand_over,
            commands.Park: self._hand_over,
            commands.HandBack: self._hand_back,
            commands.Absolve: self._absolve,
        }

    def connect(self) -> None:
        with self._server.operation("connect"):
            pass

    def now_ms(self) -> int:
        with self._server.operation("now_ms"):
            return self._server.now_ms()

    def ensure_group(self, key: bytes, start: str) -> int | None:
        with self._server.operation("ensure_group") as store:
            return ensure_group(store, key, self._group, start)

    # --- taking entries -----------------------------------------------------------------------

    def read(self, keys: Sequence[bytes], count: int, block_ms: int) -> list[tuple[bytes, list[Entry]]]:
        deadline = time.monotonic() + block_ms / 1000
        with self._server.operation("read") as store:
            self._aborted = False
            try:
                while True:
                    taken = self._deliver(store, keys, count)
                    left = deadline - time.monotonic()
                    if taken or left <= 0 or self._interrupted:
                        return taken
                    self._server.wait(left)
                    if self._aborted:
                        raise BrokerUnavailable("the connection was broken")
            finally:
                self._interrupted = False

    def _deliver(self, store: Store, keys: Sequence[bytes], count: int) -> list[tuple[bytes, list[Entry]]]:
        # All groups are looked up before any entry is taken: Redis delivers nothing, either,
        # when one of several groups is missing.
        found = [(key, *store.group(key, self._group)) for key in keys]
        taken: list[tuple[bytes, list[Entry]]] = []
        for key, stream, group in found:
            ids = stream.deliver(group, self._me, count, self._server.now_ms())
            if ids:
                taken.append((key, [(id_bytes(i), list(stream.entries[i])) for i in ids]))
        return taken

    def reclaim(
        self, key: bytes, min_idle_ms: int, cursor: bytes, count: int, latest_ms: int | None = None
    ) -> Claimed:
        with self._server.operation("reclaim") as store:
            if latest_ms is not None and self._server.now_ms() > latest_ms:
                return Claimed(cursor, [], [], late=True)
            stream, group = store.group(key, self._group)
            following, claimed, deleted = stream.autoclaim(
                group, self._me, min_idle_ms, parse_id(cursor), count, self._server.now_ms()
            )
            return Claimed(
                id_bytes(following),
                [(id_bytes(i), group.pending[i].deliveries, list(stream.entries[i])) for i in claimed],
                [id_bytes(i) for i in deleted],
            )

    def own_pending(self, key: bytes, limit: int) -> list[tuple[bytes, int]]:
        with self._server.operation("own_pending") as store:
            _, group = store.group(key, self._group)
            mine = sorted(i for i, pending in group.pending.items() if pending.owner == self._me)
            return [(id_bytes(i), group.pending[i].deliveries) for i in mine[:limit]]

    def take(self, key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[Taken]:
        taken: list[Taken] = []
        with self._server.operation("take") as store:
            for raw_id, deliveries in leases:
                entry_id = parse_id(raw_id)
                if self._standing(store, key, entry_id, deliveries) != Standing.OURS:
                    continue
                stream, group = store.group(key, self._group)
                if entry_id in stream.entries:  # the trimmed ones are left for reclaim() to report
                    group.pending[entry_id].delivered_at = self._server.now_ms()
                    taken.append((raw_id, deliveries, list(stream.entries[entry_id])))
        return taken

    # --- leases ---------------------------------------------------------------------------------

    def renew(self, key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[int]:
        with self._server.operation("renew") as store:
            return [self._renew_one(store, key, parse_id(i), n) for i, n in leases]

    def _renew_one(self, store: Store, key: bytes, entry_id: EntryId, deliveries: int) -> int:
        standing = self._standing(store, key, entry_id, deliveries)
        if standing == Standing.OURS:
            stream, group = store.group(key, self._group)
            if entry_id not in stream.entries:
                del group.pending[entry_id]  # XCLAIM drops what was trimmed away
                return Standing.ORPHAN
            group.pending[entry_id].delivered_at = self._server.now_ms()
        return standing

    def _standing(self, store: Store, key: bytes, entry_id: EntryId, deliveries: int) -> int:
        try:
            _, group = store.group(key, self._group)
        except GroupMissing:
            return Standing.ORPHAN
        pending = group.pending.get(entry_id)
        if pending is None:
            return Standing.ORPHAN
        ours = (pending.owner, pending.deliveries) == (self._me, deliveries)
        return Standing.OURS if ours else Standing.STOLEN

    def _standing_of(self, store: Store, fence: Fence) -> int:
        return self._standing(store, fence.key, parse_id(fence.entry_id), fence.deliveries)

    def suspect(self, fence: Fence) -> int:
        with self._server.operation("suspect") as store:
            if self._refusal(store, fence) is not None:
                return 0
            starts = store.grow(self._keys.suspects, Hash)
            name = self._keys.suspect_field(fence.key, fence.entry_id)
            count, counted = map(int, starts.get(name, b"0 0").split())
            if counted != fence.deliveries:
                count += 1
                starts[name] = b"%d %d" % (count, fence.deliveries)
            return count

    # --- settling -------------------------------------------------------------------------------

    def settle(self, commands: Sequence[Command]) -> list[Answer]:
        answers: list[Answer] = []
        with self._server.operation("settle") as store:
            for command in commands:
                try:
                    answers.append(self._carry_out[type(command)](store, command))
                except BrokerError as error:  # of this command alone
                    answers.append(error)
        return answers

    def _ack(self, store: Store, command: commands.Ack) -> Verdict:
        ids = [parse_id(raw) for raw in command.entry_ids]
        store.ack(command.key, self._group, ids, delete=self._keys.is_inbox(command.key))
        return Verdict.DONE

    def _refusal(self, store: Store, fence: Fence) -> Verdict | None:
        """Why a fenced command must not be carried out; None if it may be."""
        standing = self._standing_of(store, fence)
        if standing == Standing.STOLEN:
            return Verdict.STOLEN
        return Verdict.GONE if standing == Standing.ORPHAN and not fence.or_absent else None

    def _end(self, store: Store, fence: Fence) -> Verdict:
        """The last steps of every fenced command."""
        with suppress(WrongKeyType):  # that count is no reason to write the rest twice
            self._forget(store, [fence])
        self._ack(store, commands.Ack(fence.key, [fence.entry_id]))
        return Verdict.DONE

    def _retry_later(self, store: Store, command: commands.RetryLater) -> Verdict:
        refusal = self._refusal(store, command.fence)
        if refusal is not None:
            return refusal
        member = wire.frame([command.event.encode(), *command.fields])
        due = self._server.now_ms() + command.delay_ms
        store.grow(self._keys.delayed, SortedSet)[member] = due
        return self._end(store, command.fence)

    def _dead_letter(self, store: Store, command: commands.DeadLetter) -> Verdict:
        refusal = self._refusal(store, command.fence)
        if refusal is not None:
            return refusal
        store.grow(self._keys.failed, Stream).add(command.fields, self._server.now_ms())
        return self._end(store, command.fence)

    def _hand_over(self, store: Store, command: commands.HandOver | commands.Park) -> Verdict:
        refusal = self._refusal(store, command.fence)
        if refusal is not None:
            return refusal
        if not (isinstance(command, commands.Park) or self._is_handled(store, command.event)):
            self._end(store, command.fence)
            return Verdict.DROPPED
        inbox = store.grow(self._keys.inbox(command.event), Stream)
        inbox.add(command.fields, self._server.now_ms())
        return self._end(store, command.fence)

    def _is_handled(self, store: Store, event: str) -> bool:
        handlers = store.get(self._keys.handlers, SortedSet) or SortedSet()
        seen = handlers.get(event.encode())
        return seen is not None and seen >= self._server.now_ms() - HANDLER_TTL_MS

    def _hand_back(self, store: Store, command: commands.HandBack) -> list[Verdict]:
        verdicts = [self._hand_back_one(store, fence, command.idle_ms) for fence in command.fences]
        if Verdict.DONE in verdicts:
            store.keys[self._keys.nudge] = Text(b"%d" % self._server.now_ms())
        return verdicts

    def _hand_back_one(self, store: Store, fence: Fence, idle_ms: int) -> Verdict:
        standing = self._standing_of(store, fence)
        if standing != Standing.OURS:
            return Verdict.STOLEN if standing == Standing.STOLEN else Verdict.GONE
        stream, group = store.group(fence.key, self._group)
        entry_id = parse_id(fence.entry_id)
        if entry_id not in stream.entries:
            return Verdict.GONE  # nobody could take it: the caller holds the only copy
        pending = group.pending[entry_id]
        pending.delivered_at = self._server.now_ms() - idle_ms
        pending.deliveries = max(0, pending.deliveries - 1)
        return Verdict.DONE

    def _absolve(self, store: Store, command: commands.Absolve) -> Verdict:
        self._forget(store, command.fences)
        return Verdict.DONE

    def _forget(self, store: Store, fences: Sequence[Fence]) -> None:
        suspects = store.get(self._keys.suspects, Hash) or Hash()
        for fence in fences:
            suspects.pop(self._keys.suspect_field(fence.key, fence.entry_id), None)

    # --- delayed retries ------------------------------------------------------------------------

    def due(self, limit: int) -> Due:
        with self._server.operation("due") as store:
            delayed = store.get(self._keys.delayed, SortedSet) or SortedSet()
            now = self._server.now_ms()
            later = [score for score in delayed.values() if score > now]
            wait = min(later) - now if later else None
            nudge = store.get(self._keys.nudge, Text) or b""
            paused = pauses.paused_if_readable(store, self._keys)
            return Due(delayed.up_to(now)[:limit], wait, bytes(nudge), paused)

    def promote(self, members: Sequence[bytes]) -> int:
        with self._server.operation("promote") as store:
            moves = [(member, wire.unframe(member)) for member in members]
            delayed = store.get(self._keys.delayed, SortedSet) or SortedSet()
            now = self._server.now_ms()
            moved = 0
            failed: BrokerError | None = None
            for member, (event, *fields) in moves:
                if member not in delayed:
                    continue
                try:
                    store.grow(self._keys.inbox(event.decode()), Stream).add(fields, now)
                except BrokerError as error:
                    failed = error
                    if not store.full:  # put off, or it would for ever stand before the others
                        delayed[member] = now + _PUT_OFF_MS
                else:
                    del delayed[member]
                    moved += 1
            if failed is not None:
                raise failed
            return moved

    def discard_delayed(self, member: bytes, fields: Sequence[bytes]) -> None:
        with self._server.operation("discard_delayed") as store:
            delayed = store.get(self._keys.delayed, SortedSet) or SortedSet()
            if member in delayed:
                store.grow(self._keys.failed, Stream).add(fields, self._server.now_ms())
                del delayed[member]

    # --- membership -----------------------------------------------------------------------------

    def register(self, events: Sequence[str]) -> None:
        with self._server.operation("register") as store:
            handlers = store.grow(self._keys.handlers, SortedSet)
            now = self._server.now_ms()
            handlers.update({event.encode(): now for event in events})
            for event in handlers.up_to(now - HANDLER_TTL_MS):
                del handlers[event]

    def depart(self, keys: Sequence[bytes]) -> None:
        with self._server.operation("depart") as store:
            for key in keys:
                try:
                    _, group = store.group(key, self._group)
                except (GroupMissing, WrongKeyType):
                    continue
                if all(pending.owner != self._me for pending in group.pending.values()):
                    group.consumers.pop(self._me, None)

    # --- for the janitor, and pauses ------------------------------------------------------------

    def take_duty(self, keep_ms: int | None, ttl_ms: int) -> Duty:
        with self._server.operation("take_duty") as store:
            return retention.take_duty(store, self._keys, self._me, keep_ms, ttl_ms, self._server.now_ms())

    def trim(self, key: bytes, keep_ms: int | None, limit: int, pinned_after_ms: int) -> Trimming:
        with self._server.operation("trim") as store:
            now_ms = self._server.now_ms()
            return retention.trim(store, self._keys, key, keep_ms, limit, pinned_after_ms, now_ms)

    def registered(self, limit: int) -> list[str]:
        with self._server.operation("registered") as store:
            handlers = store.get(self._keys.handlers, SortedSet) or SortedSet()
            latest = sorted(handlers, key=lambda event: (handlers[event], event), reverse=True)
            return [event.decode() for event in latest[:limit]]

    def remove_idle(self, keys: Sequence[bytes], idle_ms: int) -> list[str]:
        removed: set[str] = set()
        with self._server.operation("remove_idle") as store:
            now = self._server.now_ms()
            for key in keys:
                try:
                    _, group = store.group(key, self._keys.group)
                except GroupMissing:
                    continue
                busy = {pending.owner for pending in group.pending.values()} | {self._me}
                for name, seen in list(group.consumers.items()):
                    if name not in busy and now - seen >= idle_ms:
                        del group.consumers[name]
                        removed.add(name.decode())
        return sorted(removed)

    def forget_suspects(self, cursor: int, count: int) -> tuple[int, int]:
        with self._server.operation("forget_suspects") as store:
            suspects = store.get(self._keys.suspects, Hash) or Hash()
            gone = [field for field in suspects if not self._is_pending(store, field)]
            for field in gone:
                del suspects[field]
            return 0, len(gone)

    def _is_pending(self, store: Store, suspect_field: bytes) -> bool:
        key, raw_id = self._keys.suspect(suspect_field)
        try:
            return parse_id(raw_id) in store.group(key, self._keys.group)[1].pending
        except GroupMissing:
            return False
        except ValueError:  # none that we wrote
            return True

    def pause(self, events: Sequence[str]) -> int:
        with self._server.operation("pause") as store:
            return pauses.pause(store, self._keys, events, self._server.now_ms())

    def resume(self, events: Sequence[str]) -> int:
        with self._server.operation("resume") as store:
            return pauses.resume(store, self._keys, events)

    def paused(self) -> dict[str, int]:
        with self._server.operation("paused") as store:
            return pauses.paused(store, self._keys)

    # --- from other threads ---------------------------------------------------------------------

    def interrupt(self) -> None:
        self._interrupted = True
        self._server.wake()

    def abort(self) -> None:
        self._aborted = True
        self._server.wake()

    def close(self) -> None:
        """Nothing to close."""
