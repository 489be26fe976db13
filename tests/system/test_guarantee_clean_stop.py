"""Guarantee 8: a stop finishes what runs, hands back the rest at once, and says how it went."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Publisher
from tests.support.members import eventually, pending
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server

_AT_ONCE_S = 4.0  # far below the lease of a minute, with room for a busy machine


def _options(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"log": tmp_path / "log", "claim_idle_ms": 60_000, **more}


def _publish(server: Server, stream: str, count: int, **data: Any) -> list[str]:
    with Publisher(server.url, stream) as publisher:
        return [m.id for m in publisher.publish_many([("thing", data) for _ in range(count)])]


def _wait_for_a_sweep(peer: ConsumerProcess, server: Server) -> None:
    """Until it has looked for what others left behind: its next look of its own is 20 s later."""
    with server.client() as client:
        client.config_resetstat()
        peer.wait_until_ready()
        # one for the stream and one for its inbox
        eventually(lambda: _calls(client, "xautoclaim") >= 2, what="the first sweep")


def _calls(client: Any, command: str) -> int:
    return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def _stop(process: ConsumerProcess, number: signal.Signals) -> None:
    process.terminate() if number is signal.SIGTERM else process.interrupt()


def test_sigterm_lets_what_runs_end_and_hands_the_rest_to_a_peer_at_once(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what never started waits for the lease, counts an attempt, or what runs is cut off."""
    _stops_cleanly(server, stream, tmp_path, signal.SIGTERM)


def test_sigint_does_the_same(any_server: Server, stream: str, tmp_path: Path) -> None:
    """Fails when Ctrl-C is not a clean stop."""
    _stops_cleanly(any_server, stream, tmp_path, signal.SIGINT)


def _stops_cleanly(server: Server, stream: str, tmp_path: Path, number: signal.Signals) -> None:
    gate = tmp_path / "gate"
    ids = _publish(server, stream, 12, do="gate", path=str(gate))
    with ConsumerProcess.start(
        server.url, stream, "g", **_options(tmp_path, concurrency=4, prefetch=12)
    ) as one:
        one.wait_for(lambda r: len(one.records("started")) == 4)
        with server.client() as client:
            eventually(lambda: pending(client, stream) == 12, what="all are in hand")
        with ConsumerProcess.start(
            server.url, stream, "g", **_options(tmp_path, concurrency=8, prefetch=12)
        ) as two:
            _wait_for_a_sweep(two, server)
            _stop(one, number)
            two.wait_for(lambda r: len(two.records("started")) == 12, _AT_ONCE_S)
            assert not one.exited
            gate.touch()
            assert one.wait(10) == 0, one.stderr()
            two.wait_for(lambda r: len(two.records("settled")) == 12 + 8)  # (8 of them were handed back)
    finished = one.records("finished")

    assert sorted(r["message_id"] for r in finished) == sorted(ids)
    assert [r["pid"] for r in finished].count(one.pid) == 4
    assert {r["retries"] for r in finished} == {0}
    acked = [r for r in one.records("settled") if r["outcome"] == "ack"]
    assert {r["deliveries"] for r in acked} == {1}
    assert "Traceback" not in one.stderr()


def test_a_handler_that_outlasts_the_drain_is_left_and_its_message_runs_again(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when the process waits for ever, exits 0, or acks what did not end."""
    gate = tmp_path / "gate"
    (message_id,) = _publish(any_server, stream, 1, do="gate", path=str(gate))
    options = {**_options(tmp_path), "claim_idle_ms": 1500}
    with ConsumerProcess.start(any_server.url, stream, "g", drain_timeout_ms=700, **options) as one:
        one.wait_for(lambda r: r["kind"] == "started")
        one.terminate()
        asked = time.monotonic()
        assert one.wait(10) not in (0, -signal.SIGTERM), one.stderr()
        assert 0.6 < time.monotonic() - asked < 4
        assert "DrainTimeout" in one.stderr()
        with any_server.client() as client:
            assert pending(client, stream) == 1
        gate.touch()
        with ConsumerProcess.start(any_server.url, stream, "g", **options) as two:
            two.wait_for(lambda r: r["kind"] == "finished" and r["message_id"] == message_id)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_now(
    any_server: Server, stream: str, tmp_path: Path, second: signal.Signals
) -> None:
    """Fails when the second signal waits for the drain, or something is acked on the way out."""
    _publish(any_server, stream, 1, do="gate", path=str(tmp_path / "never"))
    with ConsumerProcess.start(any_server.url, stream, "g", **_options(tmp_path)) as one:
        one.wait_for(lambda r: r["kind"] == "started")
        one.terminate()
        one.wait_for(lambda r: r["kind"] == "draining")
        _stop(one, second)
        assert one.wait(2) == 128 + second
        with any_server.client() as client:
            assert pending(client, stream) == 1


def test_an_idle_consumer_stops_at_once_and_takes_its_name_away(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a blocked read has to run out, or the group fills with names of the past."""
    with ConsumerProcess.start(server.url, stream, "g", **_options(tmp_path, block_ms=5000)) as one:
        _publish(server, stream, 1)
        one.wait_for(lambda r: r["kind"] == "settled")
        one.terminate()
        asked = time.monotonic()
        assert one.wait(5) == 0, one.stderr()
        assert time.monotonic() - asked < 1.8
        with server.client() as client:
            assert client.xinfo_consumers(stream, "g") == []


def test_a_stop_while_redis_is_away_ends_and_does_not_call_it_clean(
    start_server: Callable[..., Server], stream: str, tmp_path: Path
) -> None:
    """Fails when a stop waits for Redis for ever, or reports as settled what was not."""
    server = start_server(appendonly=True)
    gate = tmp_path / "gate"
    _publish(server, stream, 1, do="gate", path=str(gate))
    options = {**_options(tmp_path), "claim_idle_ms": 2000}
    with ConsumerProcess.start(server.url, stream, "g", **options) as one:
        one.wait_for(lambda r: r["kind"] == "started")
        server.kill()
        gate.touch()
        one.wait_for(lambda r: r["kind"] == "finished")
        one.terminate()
        assert one.wait(15) != 0, one.stderr()
    server.restart()
    with ConsumerProcess.start(server.url, stream, "g", **options) as two:
        two.wait_for(lambda r: r["kind"] == "settled" and r["outcome"] == "ack" and r["pid"] == two.pid)


def test_suspects_that_wait_for_their_turn_are_handed_back_too(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what the reclaimer keeps is forgotten at a stop."""
    gate = tmp_path / "gate"
    ids = _publish(any_server, stream, 5, do="gate", path=str(gate))
    with any_server.client() as client:
        client.xgroup_create(stream, "g", "0")
        read: Any = client.xreadgroup("g", "dead", {stream: ">"}, count=5)
        entries = [entry_id for entry_id, _ in read[0][1]]
        client.xclaim(stream, "g", "dead", 0, entries, idle=3_600_000, justid=True)
    options = _options(tmp_path, concurrency=2, prefetch=40)
    with ConsumerProcess.start(any_server.url, stream, "g", **options) as one:
        one.wait_for(lambda r: r["kind"] == "started")
        with any_server.client() as client:
            eventually(
                lambda: client.xpending_range(stream, "g", "-", "+", 9, "dead") == [], what="taken over"
            )
        with ConsumerProcess.start(any_server.url, stream, "g", **options) as two:
            _wait_for_a_sweep(two, any_server)
            one.terminate()
            two.wait_for(lambda r: r["kind"] == "started" and r["pid"] == two.pid, _AT_ONCE_S)
            gate.touch()
            assert one.wait(10) == 0, one.stderr()
            two.wait_for(lambda r: len({x["message_id"] for x in two.records("finished")}) == 5)
    finished = one.records("finished")

    assert sorted(r["message_id"] for r in finished) == sorted(ids)
    assert {r["retries"] for r in finished} == {0}
