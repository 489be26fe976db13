"""Guarantee 9: what Redis refuses a running consumer is waited out, without a storm, and told once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from streamix_queue import Publisher
from tests.support.members import Handler, eventually, member, pending
from tests.support.servers import Server

_BAD_S = 2.0
_HANDFUL = 3


@dataclass(frozen=True)
class Trouble:
    """What an operator, or bad luck, does to a running consumer, and how it is mended."""

    begin: Callable[[Server, redis.Redis], object]
    end: Callable[[redis.Redis], object]


def _rights(client: redis.Redis, *commands: str) -> None:
    client.acl_setuser("app", commands=commands)


def _cut_all(client: redis.Redis) -> None:
    own = client.client_id()
    connections: Any = client.client_list()
    for each in connections:
        if int(each["id"]) != own:
            client.client_kill_filter(_id=each["id"])


def _no_more_clients(server: Server, client: redis.Redis) -> None:
    client.config_set("maxclients", 1)
    _cut_all(client)


def _other_password(server: Server, client: redis.Redis) -> None:
    client.acl_setuser("app", enabled=True, reset_passwords=True, passwords=["+other"])
    _cut_all(client)


def _endless_script(server: Server, client: redis.Redis) -> None:
    client.config_set("busy-reply-threshold", 50)

    def run() -> None:
        with server.client(socket_timeout=60) as other, pytest.raises(redis.RedisError):
            other.eval("while true do end", 0)

    threading.Thread(target=run, daemon=True).start()
    with server.client() as other:
        eventually(lambda: _is_busy(other), what="the script runs")


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.get("any")
    except redis.ResponseError:
        return True
    return False


def _refused(client: redis.Redis) -> int:
    """How many commands and connections Redis has turned away."""
    errors: Any = client.info("errorstats")
    stats: Any = client.info("stats")
    return int(sum(error["count"] for error in errors.values()) + stats["rejected_connections"])


_TROUBLES = {
    "no more clients": Trouble(_no_more_clients, lambda c: c.config_set("maxclients", 10_000)),
    "another password": Trouble(
        _other_password, lambda c: c.acl_setuser("app", enabled=True, passwords=["+pw"])
    ),
    "no right to read": Trouble(lambda s, c: _rights(c, "-xreadgroup"), lambda c: _rights(c, "+xreadgroup")),
    "no right to sweep": Trouble(lambda s, c: _rights(c, "-xautoclaim"), lambda c: _rights(c, "+xautoclaim")),
    "no right to ack": Trouble(lambda s, c: _rights(c, "-xack"), lambda c: _rights(c, "+xack")),
    "too few replicas": Trouble(
        lambda s, c: c.config_set("min-replicas-to-write", 1),
        lambda c: c.config_set("min-replicas-to-write", 0),
    ),
    "a script without end": Trouble(_endless_script, lambda c: c.script_kill()),
}


@pytest.mark.parametrize("name", _TROUBLES)
def test_a_refusal_is_waited_out_and_told_once(
    start_server: Callable[..., Server], stream: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a refusal ends the consumer, is retried without a pause, or is logged per attempt."""
    server, trouble, handler = start_server(), _TROUBLES[name], Handler()
    url = server.url.replace("redis://", "redis://app:pw@")
    with server.client() as client, Publisher(server.url, stream, timeout_ms=10_000) as publisher:
        client.acl_setuser(
            "app", enabled=True, passwords=["+pw"], commands=["+@all"], keys=["*"], channels=["*"]
        )
        consumer = member(url, stream, claim_idle_ms=1500)
        consumer.on("thing", handler)
        with consumer:
            publisher.publish("thing", {"n": 0})
            handler.wait_for(1)
            eventually(lambda: pending(client, stream) == 0, what="it is acked")
            trouble.begin(server, client)
            time.sleep(_BAD_S)  # what is tried meanwhile is what is tested
            trouble.end(client)
            publisher.publish("thing", {"n": 1})
            handler.wait_for(2)
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        tries = _refused(client)

    assert handler.values() == [0, 1]
    assert tries < 60  # six threads, two seconds: a hot loop would be thousands
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(told) <= _HANDFUL, told
