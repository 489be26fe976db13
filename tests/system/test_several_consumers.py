"""`run(*consumers)`: several in one process, one pair of signal handlers, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from streamix_queue import BrokerUnavailable, ConfigError, Consumer, Publisher, RestartsExceeded, run
from streamix_queue.actors.scheduler import Scheduler
from tests.support.members import Handler, eventually, member, pending
from tests.support.servers import Server


def _two(server: Server, stream: str) -> tuple[Consumer, Consumer, Handler, Handler]:
    first, second = member(server.url, stream, "first"), member(server.url, f"{stream}-2", "second")
    handlers = Handler(), Handler()
    for consumer, handler in zip((first, second), handlers, strict=True):
        consumer.on("thing", handler)
    return first, second, *handlers


def _publish(server: Server, stream: str, count: int) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(count)])


def _when(happened: Any, act: Any) -> threading.Thread:
    def wait_and_act() -> None:
        happened()
        act()

    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()
    return thread


def test_one_signal_stops_all_of_them_cleanly(any_server: Server, stream: str) -> None:
    """Fails when only the last one's signal handler counts, or when one is left running."""
    first, second, of_first, of_second = _two(any_server, stream)
    for name in (stream, f"{stream}-2"):
        _publish(any_server, name, 3)

    def both_have_worked() -> None:
        of_first.wait_for(3)
        of_second.wait_for(3)

    before = signal.getsignal(signal.SIGTERM)
    helper = _when(both_have_worked, lambda: os.kill(os.getpid(), signal.SIGTERM))
    run(first, second)
    helper.join(10)

    assert not first.running
    assert not second.running
    assert signal.getsignal(signal.SIGTERM) is before
    with any_server.client() as client:
        assert pending(client, stream, "first") == pending(client, f"{stream}-2", "second") == 0


def test_when_one_is_stopped_from_elsewhere_the_others_are_as_well(server: Server, stream: str) -> None:
    first, second, _, _ = _two(server, stream)
    helper = _when(
        lambda: eventually(lambda: first.running and second.running, what="both run"), first.request_stop
    )

    run(first, second)
    helper.join(10)

    assert not second.running


def test_what_ends_one_of_them_ends_all_and_is_raised(
    server: Server, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a consumer that gave up leaves the others running behind a process that looks well."""
    first, second, _, _ = _two(server, stream)
    step = Scheduler.step

    def crash(scheduler: Scheduler) -> None:
        if scheduler._holdings.origin.group == "second":
            raise RuntimeError("a fault of ours")
        step(scheduler)

    monkeypatch.setattr(Scheduler, "step", crash)

    with pytest.raises(RestartsExceeded, match="scheduler"):
        run(first, second)

    assert not first.running


def test_what_ended_one_is_raised_and_not_what_followed_from_it(
    server: Server, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a handler that did not end in time hides why all had to end."""
    first = member(server.url, stream, "first", drain_timeout_ms=50)
    second = member(server.url, f"{stream}-2", "second")
    inside, release = threading.Event(), threading.Event()

    def hang(data: dict[str, Any]) -> None:
        inside.set()
        release.wait(20)

    first.on("thing", hang)
    second.on("thing", Handler())
    _publish(server, stream, 1)
    step = Scheduler.step

    def crash(scheduler: Scheduler) -> None:
        if scheduler._holdings.origin.group == "second":
            inside.wait(10)
            raise RuntimeError("a fault of ours")
        step(scheduler)

    monkeypatch.setattr(Scheduler, "step", crash)
    try:
        with pytest.raises(RestartsExceeded, match="scheduler"):
            run(first, second)
    finally:
        release.set()


def test_a_second_signal_ends_the_process_while_the_others_drain(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when the main thread waits for the others in a way that no signal interrupts."""
    text = f"""\
        import os, signal, threading, time
        from streamix_queue import Consumer, run
        first = Consumer({server.url!r}, {stream!r}, "first")
        second = Consumer({server.url!r}, {stream!r} + "-2", "second")
        first.on("thing", lambda data: None)

        @second.on("thing")
        def hang(data):
            first.request_stop()
            while first.running:
                time.sleep(0.01)
            # The main thread waits for us now. The signals go to a thread that runs no signal handlers,
            # and two that come before it looks are one.
            for _ in range(100):
                time.sleep(0.2)
                signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            os._exit(1)

        run(first, second)
    """
    script = tmp_path / "both.py"
    script.write_text(dedent(text))
    _publish(server, f"{stream}-2", 1)

    ended = subprocess.run([sys.executable, str(script)], timeout=30, capture_output=True, check=False)

    assert ended.returncode == 128 + signal.SIGTERM


def test_if_one_cannot_start_those_before_it_are_stopped_again(server: Server, stream: str) -> None:
    first, _, _, _ = _two(server, stream)
    nowhere = Consumer("redis://127.0.0.1:1/0", stream)
    nowhere.on("thing", Handler())

    with pytest.raises(BrokerUnavailable):
        run(first, nowhere)

    assert not first.running


def test_the_same_one_twice_is_refused_and_not_left_running(server: Server, stream: str) -> None:
    first, _, _, _ = _two(server, stream)

    with pytest.raises(Exception, match="running already"):
        run(first, first)

    assert not first.running


def test_none_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        run()
