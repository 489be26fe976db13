"""More than one server: a Redis Cluster, and a primary that Sentinels look after."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streamix_queue import BrokerUnavailable, ClusterKeyError, ConfigError, Consumer, Publisher
from streamix_queue.local_server.loopback import free_loopback_port
from tests.support.servers import Server, locate

SOON_S = 30.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a server's state, which nobody can be told of.

    A lost connection says "not yet": a Sentinel that promotes a replica kills its clients, and one
    that starts does not listen yet.
    """
    deadline = time.monotonic() + SOON_S
    while True:
        with contextlib.suppress(redis.ConnectionError):
            if condition():
                return
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def ask(client: redis.Redis, *command: str | int) -> Any:
    """A command that redis-py has no method for."""
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


class Collector:
    """A handler that remembers what it has seen."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._changed = threading.Condition()

    def __call__(self, data: dict[str, int]) -> None:
        with self._changed:
            self.seen.append(data["n"])
            self._changed.notify_all()

    def wait_for(self, numbers: set[int]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: numbers <= set(self.seen), SOON_S), numbers - set(self.seen)


@pytest.fixture
def cluster(start_server: Callable[..., Server]) -> list[Server]:
    """Two primaries that share the slots, and a replica of the first."""
    # (The bus has by default the port 10,000 above, which a high port does not leave room for.)
    buses = [free_loopback_port() for _ in range(3)]
    arguments = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
    nodes = [start_server("redis7", extra_args=(*arguments, str(bus))) for bus in buses]
    clients = [node.client() for node in nodes]
    ask(clients[0], "CLUSTER", "ADDSLOTSRANGE", 0, 8191)
    ask(clients[1], "CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
    for node, bus in zip(nodes[1:], buses[1:], strict=True):
        ask(clients[0], "CLUSTER", "MEET", "127.0.0.1", node.port, bus)
    first = ask(clients[0], "CLUSTER", "MYID")
    until(lambda: first in ask(clients[2], "CLUSTER", "NODES"), "the nodes have not met")
    ask(clients[2], "CLUSTER", "REPLICATE", first)
    until(lambda: all("cluster_state:ok" in str(ask(c, "CLUSTER", "INFO")) for c in clients), "no cluster")
    until(lambda: clients[2].info("replication").get("master_link_status") == "up", "no replica")
    return nodes


STREAM = "{app.events}"  # slot 117: the first node's


def test_a_stream_without_a_hash_tag_is_refused_on_a_cluster_with_the_name_to_use(
    cluster: list[Server],
) -> None:
    consumer = Consumer(cluster[0].url, "app.events")
    consumer.on("thing", lambda data: None)

    with pytest.raises(ClusterKeyError, match=r"\{app\.events\}"):
        consumer.start()
    with pytest.raises(ClusterKeyError, match=r"\{app\.events\}"), Publisher(cluster[0].url) as publisher:
        publisher.publish("thing", {"n": 1})


@pytest.mark.parametrize("asked", [0, 1], ids=["the node that has the stream", "another node"])
def test_any_node_of_a_cluster_will_do_as_the_url(cluster: list[Server], asked: int) -> None:
    handler = Collector()
    consumer = Consumer(cluster[asked].url, STREAM, concurrency=2, backoff_base_ms=10)
    consumer.on("thing", handler)
    failed: list[int] = []

    @consumer.on("flaky")
    def flaky(data: dict[str, int]) -> None:
        if not failed:
            failed.append(1)
            raise ValueError
        handler(data)

    with consumer, Publisher(cluster[asked].url, STREAM) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(700)])
        publisher.publish("flaky", {"n": 700})

        handler.wait_for(set(range(701)))


def test_a_failover_of_the_cluster_is_followed_and_loses_nothing(cluster: list[Server]) -> None:
    handler = Collector()
    consumer = Consumer(cluster[1].url, STREAM)
    consumer.on("thing", handler)
    with consumer, Publisher(cluster[1].url, STREAM) as publisher:
        publisher.publish("thing", {"n": 1})
        handler.wait_for({1})

        replica = cluster[2].client()
        ask(replica, "CLUSTER", "FAILOVER")
        until(lambda: replica.info("replication")["role"] == "master", "no failover")
        publisher.publish_many([("thing", {"n": n}) for n in range(2, 50)])

        handler.wait_for(set(range(1, 50)))


@pytest.fixture
def watched(start_server: Callable[..., Server], tmp_path: Path) -> Iterator[tuple[Server, Server, int]]:
    """A primary, its replica, and the port of a Sentinel that watches them."""
    primary = start_server("redis7")
    replica = start_server("redis7", extra_args=("--replicaof", "127.0.0.1", str(primary.port)))
    until(lambda: replica.client().info("replication")["master_link_status"] == "up", "no replica")
    port = free_loopback_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 1000\n"
    )
    process = subprocess.Popen(
        [locate("redis7"), str(config), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with redis.Redis(port=port, protocol=2, retry=Retry(NoBackoff(), 0)) as sentinel:
            until(lambda: ask(sentinel, "SENTINEL", "REPLICAS", "main"), "the Sentinel sees no replica")
        yield primary, replica, port
    finally:
        process.kill()
        process.wait()


def test_a_failover_by_sentinel_is_followed(watched: tuple[Server, Server, int]) -> None:
    primary, replica, port = watched
    url = f"redis+sentinel://127.0.0.1:{port}/main/0"
    handler = Collector()
    consumer = Consumer(url, "app.events")
    consumer.on("thing", handler)
    with consumer, Publisher(url, "app.events") as publisher:
        publisher.publish("thing", {"n": 1})
        handler.wait_for({1})
        until(
            lambda: (
                replica.client().info("replication")["master_repl_offset"]
                >= primary.client().info("replication")["master_repl_offset"]
            ),
            "the replica lags",
        )

        primary.kill()
        until(lambda: replica.client().info("replication")["role"] == "master", "no failover")
        for n in range(2, 20):
            publisher.publish("thing", {"n": n})

        handler.wait_for(set(range(1, 20)))


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://host", "redis+sentinel:///main", "redis+sentinel://h:port/m", "http+sentinel://h/m"],
)
def test_a_sentinel_url_that_cannot_be_read_says_what_is_expected(url: str) -> None:
    with pytest.raises(ConfigError, match="redis_url"):
        Publisher(url)


def test_no_secret_of_a_sentinel_url_is_told() -> None:
    publisher = Publisher("redis+sentinel://user:S3CR3T@127.0.0.1:1/main", timeout_ms=50)
    with pytest.raises(BrokerUnavailable) as raised:
        publisher.publish("thing", {})

    assert "S3CR3T" not in str(raised.value)
