"""The port for Prometheus and for who restarts processes."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streamix_queue import Consumer
from streamix_queue.core.errors import BrokerUnavailable, ConfigError
from streamix_queue.core.vitals import ActorVitals, Vitals
from streamix_telemetry.health import HealthServer
from streamix_telemetry.probes import ConsumerProbe
from tests.support.members import Handler, eventually, member
from tests.support.servers import Server
from tests.telemetry.pages import OPENMETRICS, Page, get
from tests.telemetry.scenes import EVENT, consuming, publish


def port_of(consumer: Consumer) -> int:
    port = consumer.metrics_port
    assert port is not None
    return port


def report(port: int, path: str) -> tuple[int, dict[str, Any]]:
    answer = get(port, path)
    assert answer.kind == "application/json"
    return answer.status, json.loads(answer.body)


def test_a_consumer_serves_metrics_and_probes_from_its_start_to_its_end(
    any_server: Server, stream: str
) -> None:
    with consuming(any_server, stream, Handler(), metrics_port=0) as consumer:
        port = port_of(consumer)
        assert report(port, "/livez") == (200, {"status": "ok", "checks": {f"{stream}/g": "ok"}})
        assert report(port, "/readyz") == (200, {"status": "ok", "checks": {f"{stream}/g": "ok"}})
        assert get(port, "/metrics").kind.startswith("text/plain")
        assert get(port, "/metrics", OPENMETRICS).kind.startswith("application/openmetrics-text")
        assert get(port, "/metrics?name=x").status == 200

    with pytest.raises(ConnectionRefusedError):
        get(port, "/livez")


@pytest.mark.parametrize("path", ["/", "/health", "/metrics/", "/livez/x", "/%2e%2e/metrics"])
def test_every_other_path_is_not_found(any_server: Server, stream: str, path: str) -> None:
    with consuming(any_server, stream, Handler(), metrics_port=0) as consumer:
        assert get(port_of(consumer), path).status == 404


def test_other_methods_are_refused_and_head_has_no_body(any_server: Server, stream: str) -> None:
    with consuming(any_server, stream, Handler(), metrics_port=0) as consumer:
        port = port_of(consumer)
        assert get(port, "/livez", method="POST").status == 501
        assert get(port, "/livez", method="HEAD") == get(port, "/livez", method="HEAD")
        assert get(port, "/livez", method="HEAD").body == ""


def test_it_listens_on_loopback_unless_told_otherwise(any_server: Server, stream: str) -> None:
    with consuming(any_server, stream, Handler(), metrics_port=0) as consumer:
        listening = _listening(port_of(consumer))
    with consuming(any_server, stream, Handler(), metrics_port=0, metrics_host="0.0.0.0") as consumer:
        everywhere = _listening(port_of(consumer))

    assert (listening, everywhere) == (
        "0100007F",
        "00000000",
    )  # 127.0.0.1 and 0.0.0.0, as the kernel writes them


def _listening(port: int) -> str:
    with open("/proc/net/tcp") as table:  # noqa: PTH123
        lines = [line.split() for line in table][1:]
    (address,) = {
        fields[1].split(":")[0]
        for fields in lines
        if int(fields[1].split(":")[1], 16) == port and fields[3] == "0A"
    }
    return address


def test_a_port_that_is_taken_is_told_at_the_start_and_no_message_is_taken(
    any_server: Server, stream: str
) -> None:
    publish(any_server, stream)
    handler = Handler()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        consumer = member(any_server.url, stream, metrics_port=port)
        consumer.on(EVENT, handler)
        with pytest.raises(
            ConfigError,
            match=f"metrics_port={port}: cannot listen on 127.0.0.1:{port}: Address already in use",
        ):
            consumer.start()

    assert handler.calls == []
    with any_server.client() as client:
        assert client.xinfo_groups(stream) == []  # it had not even made its group
    consumer.start()  # and when the port is free, it can be started all the same
    handler.wait_for(1)
    consumer.stop()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "a" * 300])
def test_a_host_that_cannot_be_had_is_told_at_the_start(any_server: Server, stream: str, host: str) -> None:
    consumer = member(any_server.url, stream, metrics_port=0, metrics_host=host)
    consumer.on(EVENT, Handler())
    with pytest.raises(ConfigError, match="cannot listen on"):
        consumer.start()


@pytest.mark.parametrize("port", [-1, 65_536, "9000", 9000.0, True])
def test_a_port_that_is_none_is_refused_at_the_call(port: Any) -> None:
    with pytest.raises(ConfigError, match="metrics_port"):
        Consumer(metrics_port=port)


def test_when_the_start_fails_the_port_is_free_again(stream: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody_listens = nobody.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    consumer = member(f"redis://127.0.0.1:{nobody_listens}/0", stream, metrics_port=port)
    consumer.on(EVENT, Handler())
    with pytest.raises(BrokerUnavailable):
        consumer.start()

    socket.create_server(("127.0.0.1", port)).close()


def test_without_redis_it_is_alive_and_not_ready(start_server: Any, stream: str) -> None:
    server: Server = start_server()
    with consuming(server, stream, Handler(), metrics_port=0) as consumer:
        port = port_of(consumer)
        server.stop()
        eventually(lambda: get(port, "/readyz").status == 503)
        assert get(port, "/livez").status == 200
        assert Page.at(port).value("streamix_redis_connected") in (0, 1)
        server.restart()
        eventually(lambda: get(port, "/readyz").status == 200, 20)


def test_a_paused_redis_is_noticed_though_no_connection_breaks(start_server: Any, stream: str) -> None:
    server: Server = start_server()
    with consuming(server, stream, Handler(), metrics_port=0) as consumer:
        server.pause()
        eventually(lambda: get(port_of(consumer), "/readyz").status == 503)
        server.resume()
        eventually(lambda: get(port_of(consumer), "/readyz").status == 200)


def test_while_it_drains_it_is_alive_and_not_ready(any_server: Server, stream: str) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def handler(data: dict[str, Any]) -> None:
        inside.set()
        go_on.wait(10)

    publish(any_server, stream)
    with consuming(any_server, stream, handler, metrics_port=0) as consumer:
        assert inside.wait(10)
        consumer.request_stop()
        status, found = report(port_of(consumer), "/readyz")
        alive = get(port_of(consumer), "/livez").status
        go_on.set()

    assert (status, found["checks"]) == (503, {f"{stream}/g": ["draining"]})
    assert alive == 200


def test_a_handler_that_runs_for_long_is_no_reason_to_kill_the_process() -> None:
    worker = ActorVitals("worker-1", running=True, silent_s=7200.0, deadline_s=None)

    assert _probe(worker).live().problems == ()


def test_an_actor_that_makes_no_progress_is() -> None:
    fetcher = ActorVitals("fetcher", running=True, silent_s=61.0, deadline_s=30.0)
    restarting = ActorVitals("settler", running=False, silent_s=0.0, deadline_s=None)

    assert _probe(fetcher, restarting).live().problems == ("fetcher: no progress for 61 s",)
    assert _probe(supervisor_silent_s=40.0).live().problems == ("supervisor: no progress for 40 s",)


def _probe(*actors: ActorVitals, supervisor_silent_s: float = 0.0) -> ConsumerProbe:
    vitals = Vitals("c", actors, supervisor_silent_s, False, 0.0, 1, 1, 0.0, {}, 0, 1)
    return ConsumerProbe("redis://127.0.0.1:1/0", "s", "g", lambda: vitals)


def test_slow_scrapers_cost_the_consumer_nothing(any_server: Server, stream: str) -> None:
    handler = Handler()
    with consuming(any_server, stream, handler, metrics_port=0) as consumer:
        port = port_of(consumer)
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        for connection in slow:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n")  # and never the rest
        started = time.monotonic()
        publish(any_server, stream, 50)
        handler.wait_for(50)
        took = time.monotonic() - started
        threads = sum(thread.name.startswith("Thread-") for thread in threading.enumerate())
        for connection in slow:
            connection.close()
        eventually(lambda: _answers(port))

    assert took < 5
    assert threads <= 20


def _answers(port: int) -> bool:
    try:
        return get(port, "/livez").status == 200
    except (ConnectionError, OSError):
        return False


def test_a_connection_that_takes_too_long_is_ended(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamix_telemetry.health._LONGEST_CONNECTION_S", 0.3)
    server = HealthServer("127.0.0.1", 0, registry, list)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        started = time.monotonic()
        eventually(lambda: _drip(connection), 5)  # a byte now and then keeps no thread for ever
        took = time.monotonic() - started
    server.close()

    assert took >= 0.3


def _drip(connection: socket.socket) -> bool:
    """Send a byte; True once the other side has ended it."""
    connection.settimeout(0.02)
    try:
        connection.sendall(b"G")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_collector_of_the_applications_that_breaks_is_not_taken_for_ours(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    class Broken:
        def describe(self) -> list[Any]:
            return []

        def collect(self) -> Any:
            raise RuntimeError("mine")

    registry.register(Broken())
    with consuming(any_server, stream, Handler(), metrics_port=0) as consumer:
        assert get(port_of(consumer), "/metrics").status == 500
        assert get(port_of(consumer), "/livez").status == 200
