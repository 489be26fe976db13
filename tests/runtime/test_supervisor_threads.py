"""The threads of the children: names, contexts, and nothing kept alive."""

import contextvars
import gc
import threading
import weakref

import pytest

from streamix_queue.runtime import ChildCrashed, ChildRestarted, ChildSpec, ChildStarted, Mailbox, Supervisor
from tests.runtime.troupe import SOON, Doing, Facts, Idle, crash, each_time, spec, supervised


def test_a_thread_that_cannot_start_stops_what_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    start = threading.Thread.start

    class Child(Idle):
        def teardown(self) -> None:
            ended.append(self.name)

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "streamix.c":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    facts = Facts()
    supervisor = Supervisor(
        [ChildSpec(n, lambda n=n: Child(n), stage=ord(n)) for n in "abcd"],  # type: ignore[misc]
        notice=facts,
    )

    with pytest.raises(RuntimeError, match="can't start new thread"):
        supervisor.start()

    assert ended == ["b", "a"]
    assert facts.all == [ChildStarted("a"), ChildStarted("b")]


def test_a_thread_that_cannot_start_again_is_one_more_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = iter([False, True])
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "streamix.a" and next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with supervised(spec("a", each_time(crash(ValueError())))) as running:
        assert running.facts.await_(ChildRestarted).attempt == 2

    assert [type(fact.error) for fact in running.facts.of(ChildCrashed)] == [
        ValueError,
        RuntimeError,
    ]


def test_a_childs_thread_is_named_for_it_and_does_not_hold_up_the_exit() -> None:
    threads: Mailbox[threading.Thread] = Mailbox()
    with supervised(spec("order.paid.2", lambda me: threads.put(threading.current_thread()))):
        thread = threads.get_many(1, SOON)[0]

    assert thread is not None
    assert thread.name == "streamix.order.paid.2"
    assert thread.daemon


def test_no_context_leaks_into_a_child_or_from_one_life_to_the_next() -> None:
    """Else a child would live in the span of whoever started it, for ever."""
    span = contextvars.ContextVar("span", default="none")
    seen: Mailbox[str] = Mailbox()

    def look(me: Doing) -> None:
        seen.put(span.get())
        span.set("of the child")
        raise ValueError

    def caller() -> None:
        span.set("of the caller")
        with supervised(spec("a", each_time(look, look))):
            assert [seen.get_many(1, SOON)[0], seen.get_many(1, SOON)[0]] == ["none", "none"]
        assert span.get() == "of the caller"

    contextvars.Context().run(caller)


# Crashes as facts


def test_a_crash_pins_no_frame_and_so_no_payload() -> None:
    class Payload:
        pass

    payloads: list[weakref.ref[Payload]] = []

    def inner() -> None:
        payload = Payload()
        payloads.append(weakref.ref(payload))
        raise KeyError("inner")

    def work(me: Doing) -> None:
        payload = Payload()
        payloads.append(weakref.ref(payload))
        try:
            inner()
        except KeyError as error:
            raise ValueError("outer") from error

    with supervised(spec("a", each_time(work, work))) as running:
        running.facts.await_(ChildRestarted, 2)
        facts = running.facts.of(ChildCrashed)
        gc.collect()

        assert len(payloads) == 4
        assert [payload() for payload in payloads] == [None] * 4
        for fact in facts:
            assert fact.error.__traceback__ is None
            for words in ("in inner", "KeyError: 'inner'", "direct cause", "ValueError: outer"):
                assert words in fact.traceback


def test_a_traceback_is_bounded_and_keeps_its_end() -> None:
    error = ValueError("ü\udc80" * 100_000 + " the end")
    with supervised(spec("a", each_time(crash(error)))) as running:
        text = running.facts.await_(ChildCrashed).traceback

    assert len(text.encode()) <= 8192
    assert text.rstrip().endswith("the end")
