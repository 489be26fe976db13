"""What the suite needs of a backend: brokers to test, and a back door to look at the data.

The back door to a real server is redis-py's own client, so that it shares no code with the broker.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import resources
from typing import Any, NamedTuple

from streamix_queue.broker.memory.consumer import MemoryConsumerBroker, MemoryPublisherBroker, MemoryServer
from streamix_queue.broker.memory.store import Hash, SortedSet, Stream, Text, id_bytes, parse_id
from streamix_queue.broker.protocol import ConsumerBroker, PublisherBroker
from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.broker.redis.link import load_script
from streamix_queue.broker.redis.publisher import RedisPublisherBroker
from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.keys import Keys
from tests.broker.lossy import LossyProxy
from tests.support.servers import Server

__all__ = ["Backend", "MemoryBackend", "Pending", "RedisBackend", "eventually"]

Fields = list[bytes]


class Pending(NamedTuple):
    """One line of a pending list."""

    entry_id: bytes
    owner: bytes
    deliveries: int
    idle_ms: int


def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Return as soon as ``condition`` holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.001)


class Backend(ABC):
    """One server, and the keys of one group (``g``) on a stream that is new."""

    drops_trimmed_entries = True
    """XCLAIM removes a pending entry whose payload was trimmed (all but Redis 6.2)."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.keys = Keys(stream, "g")

    def consumer(self, name: str = "me", *, group: str = "g") -> ConsumerBroker:
        """A member of the group; closed with the backend."""
        return self._consumer(Keys(self.stream, group), name)

    @abstractmethod
    def _consumer(self, keys: Keys, name: str) -> ConsumerBroker: ...

    @abstractmethod
    def lossy_consumer(self, name: str = "me") -> tuple[ConsumerBroker, Callable[[str], None]]:
        """A member, and what makes it lose the reply to its next call (of the named method)."""

    @abstractmethod
    def lossy_publisher(self) -> tuple[PublisherBroker, Callable[[str], None]]: ...

    @abstractmethod
    def publisher(self) -> PublisherBroker: ...

    @abstractmethod
    def close(self) -> None: ...

    # --- the back door: looking ---------------------------------------------------------------

    @abstractmethod
    def now_ms(self) -> int: ...

    @abstractmethod
    def entries(self, key: bytes) -> list[tuple[bytes, Fields]]: ...

    @abstractmethod
    def pending(self, key: bytes, group: bytes = b"g") -> list[Pending]: ...

    @abstractmethod
    def consumers(self, key: bytes) -> set[bytes]: ...

    @abstractmethod
    def scores(self, key: bytes) -> dict[bytes, int]: ...

    @abstractmethod
    def mapping(self, key: bytes) -> dict[bytes, bytes]: ...

    @abstractmethod
    def blocked_reads(self) -> int: ...

    # --- the back door: changing --------------------------------------------------------------

    @abstractmethod
    def add(self, key: bytes, *fields: bytes) -> bytes: ...

    @abstractmethod
    def remove_entry(self, key: bytes, entry_id: bytes) -> None:
        """XDEL, which leaves a pending entry as trimming does."""

    @abstractmethod
    def remove_consumer(self, key: bytes, name: bytes) -> None: ...

    @abstractmethod
    def destroy_group(self, key: bytes) -> None: ...

    @abstractmethod
    def delete(self, key: bytes) -> None: ...

    @abstractmethod
    def make_wrong_type(self, key: bytes) -> None: ...

    @abstractmethod
    def make_idle(self, key: bytes, entry_id: bytes, idle_ms: int) -> None: ...

    @abstractmethod
    def set_score(self, key: bytes, member: bytes, score: int) -> None: ...

    @abstractmethod
    def fill(self, is_full: bool) -> None:
        """Reach ``maxmemory``, or have plenty again."""

    # --- common steps -------------------------------------------------------------------------

    def read(self, broker: ConsumerBroker, count: int = 100, *keys: bytes) -> list[tuple[bytes, Fields]]:
        """What one non-blocking read of the stream (or of ``keys``) gives, in one list."""
        got = broker.read(keys or (self.keys.stream,), count, 0)
        return [(i, fields or []) for _, entries in got for i, fields in entries]

    def leased(self, broker: ConsumerBroker, count: int, key: bytes | None = None) -> list[bytes]:
        """Ids of ``count`` new entries of ``key``, delivered to ``broker``."""
        key = key or self.keys.stream
        broker.ensure_group(key, "0")
        self.publisher().add_many(key, [[b"message", b"%d" % number] for number in range(count)])
        ids = [i for i, _ in self.read(broker, count, key)]
        assert len(ids) == count
        return ids

    def steal(self, entry_id: bytes, thief: str = "thief", key: bytes | None = None) -> None:
        """Let another consumer object take the entry over, as a reclaim does."""
        key = key or self.keys.stream
        self.make_idle(key, entry_id, 100_000)
        taken = self.consumer(thief).reclaim(key, 90_000, b"0-0", 100)
        assert entry_id in [i for i, _, _ in taken.entries]

    def owner(self, entry_id: bytes, key: bytes | None = None) -> tuple[bytes, int] | None:
        """Who holds the entry, and its delivery count; None if it is pending for nobody."""
        held = {p.entry_id: (p.owner, p.deliveries) for p in self.pending(key or self.keys.stream)}
        return held.get(entry_id)


class MemoryBackend(Backend):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.server = MemoryServer()

    def _consumer(self, keys: Keys, name: str) -> ConsumerBroker:
        return MemoryConsumerBroker(self.server, keys, name)

    def lossy_consumer(self, name: str = "me") -> tuple[ConsumerBroker, Callable[[str], None]]:
        return self.consumer(name), self._lose

    def lossy_publisher(self) -> tuple[PublisherBroker, Callable[[str], None]]:
        return self.publisher(), self._lose

    def _lose(self, method: str) -> None:
        self.server.fail_next(method, BrokerUnavailable("the reply was lost"), after=True)

    def publisher(self) -> PublisherBroker:
        return MemoryPublisherBroker(self.server)

    def close(self) -> None:
        pass

    def now_ms(self) -> int:
        return self.server.now_ms()

    def entries(self, key: bytes) -> list[tuple[bytes, Fields]]:
        with self.server.data() as store:
            stream = store.get(key, Stream) or Stream()
            return [(id_bytes(i), list(fields)) for i, fields in stream.entries.items()]

    def pending(self, key: bytes, group: bytes = b"g") -> list[Pending]:
        with self.server.data() as store:
            _, found = store.group(key, group)
            now = self.now_ms()
            return [
                Pending(id_bytes(i), p.owner, p.deliveries, now - p.delivered_at)
                for i, p in sorted(found.pending.items())
            ]

    def consumers(self, key: bytes) -> set[bytes]:
        with self.server.data() as store:
            return set(store.group(key, self.keys.group)[1].consumers)

    def scores(self, key: bytes) -> dict[bytes, int]:
        with self.server.data() as store:
            return dict(store.get(key, SortedSet) or {})

    def mapping(self, key: bytes) -> dict[bytes, bytes]:
        with self.server.data() as store:
            return dict(store.get(key, Hash) or {})

    def blocked_reads(self) -> int:
        return self.server.blocked

    def add(self, key: bytes, *fields: bytes) -> bytes:
        with self.server.data() as store:
            return id_bytes(store.grow(key, Stream).add(fields, self.now_ms()))

    def remove_entry(self, key: bytes, entry_id: bytes) -> None:
        with self.server.data() as store:
            store.grow(key, Stream).delete(parse_id(entry_id))

    def remove_consumer(self, key: bytes, name: bytes) -> None:
        with self.server.data() as store:
            _, group = store.group(key, self.keys.group)
            group.consumers.pop(name, None)
            for entry_id in [i for i, p in group.pending.items() if p.owner == name]:
                del group.pending[entry_id]

    def destroy_group(self, key: bytes) -> None:
        with self.server.data() as store:
            del store.grow(key, Stream).groups[self.keys.group]

    def delete(self, key: bytes) -> None:
        with self.server.data() as store:
            del store.keys[key]

    def make_wrong_type(self, key: bytes) -> None:
        with self.server.data() as store:
            store.keys[key] = Text(b"not what you think")

    def make_idle(self, key: bytes, entry_id: bytes, idle_ms: int) -> None:
        with self.server.data() as store:
            _, group = store.group(key, self.keys.group)
            group.pending[parse_id(entry_id)].delivered_at = self.now_ms() - idle_ms

    def set_score(self, key: bytes, member: bytes, score: int) -> None:
        with self.server.data() as store:
            store.grow(key, SortedSet)[member] = score

    def fill(self, is_full: bool) -> None:
        self.server.full(is_full)


class RedisBackend(Backend):
    def __init__(self, stream: str, server: Server) -> None:
        super().__init__(stream)
        self.server = server
        self.client: Any = server.client()
        self.drops_trimmed_entries = server.kind != "redis6"
        self._closing: list[Callable[[], None]] = []

    def _consumer(self, keys: Keys, name: str) -> RedisConsumerBroker:
        broker = RedisConsumerBroker(self.server.url, keys, name, timeout_s=30)
        self._closing.append(broker.close)
        return broker

    def lossy_consumer(self, name: str = "me") -> tuple[ConsumerBroker, Callable[[str], None]]:
        proxy = self._proxy()
        broker = RedisConsumerBroker(proxy.url, self.keys, name)
        self._closing.append(broker.close)
        broker.connect()
        return broker, lambda _: proxy.lose_next_reply()

    def lossy_publisher(self) -> tuple[PublisherBroker, Callable[[str], None]]:
        proxy = self._proxy()
        broker = RedisPublisherBroker(proxy.url)
        self._closing.append(broker.close)
        broker.ensure_group(b"any", b"any", "0")  # connects, so that no handshake loses its reply
        return broker, lambda _: proxy.lose_next_reply()

    def _proxy(self) -> LossyProxy:
        # The reply that gets lost is to be that of the work, not that of a script's first use.
        for path in resources.files("streamix_queue.broker").joinpath("scripts").iterdir():
            if path.name.endswith(".lua"):
                self.client.script_load(load_script(path.name.removesuffix(".lua")).text)
        proxy = LossyProxy(self.server.port)
        self._closing.append(proxy.close)
        return proxy

    def publisher(self) -> RedisPublisherBroker:
        broker = RedisPublisherBroker(self.server.url)
        self._closing.append(broker.close)
        return broker

    def close(self) -> None:
        for close in self._closing:
            close()
        self.client.close()

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        return int(seconds * 1000 + micros // 1000)

    def entries(self, key: bytes) -> list[tuple[bytes, Fields]]:
        # By a script: redis-py would make a dict of the fields, and lose one that occurs twice.
        raw = self.client.eval("return redis.call('XRANGE', KEYS[1], '-', '+')", 1, key)
        return [(i, fields) for i, fields in raw]

    def pending(self, key: bytes, group: bytes = b"g") -> list[Pending]:
        return [
            Pending(p["message_id"], p["consumer"], p["times_delivered"], p["time_since_delivered"])
            for p in self.client.xpending_range(key, group, "-", "+", 100_000)
        ]

    def consumers(self, key: bytes) -> set[bytes]:
        return {consumer["name"] for consumer in self.client.xinfo_consumers(key, self.keys.group)}

    def scores(self, key: bytes) -> dict[bytes, int]:
        return {m: int(score) for m, score in self.client.zrange(key, 0, -1, withscores=True)}

    def mapping(self, key: bytes) -> dict[bytes, bytes]:
        return dict(self.client.hgetall(key))

    def blocked_reads(self) -> int:
        return sum("b" in c["flags"] for c in self.client.client_list())

    def add(self, key: bytes, *fields: bytes) -> bytes:
        entry_id: bytes = self.client.execute_command("XADD", key, "*", *fields)
        return entry_id

    def remove_entry(self, key: bytes, entry_id: bytes) -> None:
        self.client.xdel(key, entry_id)

    def remove_consumer(self, key: bytes, name: bytes) -> None:
        self.client.xgroup_delconsumer(key, self.keys.group, name)

    def destroy_group(self, key: bytes) -> None:
        self.client.xgroup_destroy(key, self.keys.group)

    def delete(self, key: bytes) -> None:
        self.client.delete(key)

    def make_wrong_type(self, key: bytes) -> None:
        self.client.set(key, b"not what you think")

    def make_idle(self, key: bytes, entry_id: bytes, idle_ms: int) -> None:
        held = self.owner(entry_id, key)
        assert held is not None
        self.client.xclaim(key, self.keys.group, held[0], 0, [entry_id], idle=idle_ms, justid=True)

    def set_score(self, key: bytes, member: bytes, score: int) -> None:
        self.client.zadd(key, {member: score})

    def fill(self, is_full: bool) -> None:
        self.client.config_set("maxmemory", 1 if is_full else 0)
