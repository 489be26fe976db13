"""Counts the calls of one consumer: run by the interpreter of the checkout that is measured.

It imports nothing of ``tests``, and of the library the public names only, so that it runs on other
states of the library. Prints one JSON object.

How it counts. `threading.setprofile` sees each call of a Python function; one whose code lies in the
library or its telemetry is a *call*. A call is a *hop* when its caller (the nearest function of the
library on the stack, none on the outermost) lies in another module. Generators count again each time
they are resumed, comprehensions as Python runs them. A thread counts from just before `publish()`
until all is quiet again: the fetcher's share thus begins with the reply to the read that was waiting
and ends with the next read, which is one round.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import streamix_queue
import streamix_telemetry
from streamix_queue import Consumer, Publisher
from streamix_queue.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType, FrameType

_LIBRARY = tuple(Path(package.__path__[0]).resolve() for package in (streamix_queue, streamix_telemetry))
_OF_A_MESSAGE = ("publish", "fetcher", "worker", "settler")
_OF_A_RETRY = (*_OF_A_MESSAGE, "scheduler")
_HANDS_ON = ".route"  # what was read goes on by it: no question
_QUIET_S = 0.3
_LONG_BLOCK_MS = 4000
_SEVERAL = 4  # with one worker all events may share a mailbox, and there would be nothing to ask


class _Question(NamedTuple):
    """A call to a method of another object: its id, class and name, and whether the actor's code made it."""

    of: int
    name: str
    by_actor: bool


class Calls:
    """Every call into the library, by thread, while `recording`. One list per thread: no lock needed."""

    def __init__(self, folders: Sequence[Path] = _LIBRARY) -> None:
        self.recording = False
        self._folders = folders
        self._by_thread: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._modules: dict[CodeType, str] = {}
        self._files: dict[str, str] = {}  # actor → the file of its class
        self.rounds: Counter[str] = Counter()
        self._asked: dict[str, list[_Question]] = defaultdict(list)
        self._holds: dict[int, frozenset[int]] = {}  # of what was asked: the ids of its attributes
        self.told: dict[int, set[int]] = defaultdict(set)
        self._facts: list[object] = []  # kept, so that no two have the same id

    def install(self) -> None:
        """For threads that start from now on, and this one."""
        threading.setprofile(self._see)
        sys.setprofile(self._see)

    def uninstall(self) -> None:
        """See no more of this thread, and none of those that start from now on."""
        threading.setprofile(None)
        sys.setprofile(None)

    def clear(self) -> None:
        """Forget what was seen, but not which file is whose."""
        self._by_thread.clear()
        self.rounds.clear()
        self._asked.clear()

    def _module(self, code: CodeType) -> str:
        """The file of ``code`` if that is one of the library, else ""."""
        module = self._modules.get(code)
        if module is None:
            path = Path(code.co_filename)
            module = str(path) if any(folder in path.parents for folder in self._folders) else ""
            self._modules[code] = module
        return module

    def _caller(self, frame: FrameType) -> FrameType | None:
        outer = frame.f_back
        while outer is not None and not self._module(outer.f_code):
            outer = outer.f_back
        return outer

    def _see(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or not (module := self._module(frame.f_code)):
            return
        name = threading.current_thread().name
        is_method = _is_method(frame.f_code)
        if is_method and frame.f_code.co_name == "step":
            self._files[role(name)] = _file_of(frame)
            self.rounds[role(name)] += self.recording
        if not self.recording:
            return
        caller = self._caller(frame)
        self._by_thread[name].append((self._module(caller.f_code) if caller else "", module))
        if not is_method:
            return
        if frame.f_code.co_name == "notice":
            self._saw_notice(frame)
        if caller is not None and caller.f_locals.get("self") is not frame.f_locals["self"]:
            asked = frame.f_locals["self"]
            if id(asked) not in self._holds:
                self._holds[id(asked)] = frozenset(map(id, getattr(asked, "__dict__", {}).values()))
            by_actor = caller.f_code.co_filename == self._files.get(role(name))
            self._asked[role(name)].append(
                _Question(id(asked), f"{type(asked).__name__}.{frame.f_code.co_name}", by_actor=by_actor)
            )

    def _saw_notice(self, frame: FrameType) -> None:
        code = frame.f_code
        if code.co_argcount == 2:
            fact = frame.f_locals[code.co_varnames[1]]
            self._facts.append(fact)
            self.told[id(fact)].add(id(frame.f_locals["self"]))

    def summary(self) -> dict[str, dict[str, int]]:
        """Actor → calls, modules and hops; of threads that made any."""
        shares: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, calls in list(self._by_thread.items()):
            shares[role(name)] += calls
        return {
            actor: {
                "calls": len(calls),
                "modules": len({module for _, module in calls}),
                "hops": sum(caller != module for caller, module in calls),
            }
            for actor, calls in sorted(shares.items())
        }

    def questions(self) -> dict[str, Any]:
        """What the fetcher asked per step: of the mailboxes, and its own code of other objects."""
        shared = {question.of for question in self._asked["worker"] if question.by_actor}
        # An actor may have them through a view of its own, which holds what the workers take from.
        views = {of for of, holds in self._holds.items() if holds & shared}
        mailboxes = shared | views
        steps = self.rounds["fetcher"]
        by_actor: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        by_thread: Counter[str] = Counter()
        for question in self._asked["fetcher"]:
            if question.name.endswith(_HANDS_ON):
                continue
            if question.by_actor:
                by_actor[question.of in mailboxes][question.name] += 1
            if question.of in mailboxes:
                by_thread[question.name] += 1
        return {
            "reads": steps,
            "questions": _per(sum(by_actor[True].values()), steps),
            "asked": {name: _per(count, steps) for name, count in sorted(by_actor[True].items())},
            "by_whole_thread": {name: _per(count, steps) for name, count in sorted(by_thread.items())},
            "of_others": {name: _per(count, steps) for name, count in sorted(by_actor[False].items())},
        }


def role(thread: str) -> str:
    """``streamix.worker-3`` → ``worker``; a thread that is none of the known actors keeps its name."""
    known = ("fetcher", "worker", "settler", "scheduler", "reclaimer", "renewer", "janitor", "supervisor")
    found = next((actor for actor in known if actor in thread.lower()), thread)
    return "publish" if found == "MainThread" else found


def _file_of(frame: FrameType) -> str:
    """The file of the class of ``self``, which may inherit the method."""
    module = sys.modules.get(type(frame.f_locals["self"]).__module__)
    return getattr(module, "__file__", None) or frame.f_code.co_filename


def _is_method(code: CodeType) -> bool:
    return code.co_argcount > 0 and code.co_varnames[0] == "self"


@contextmanager
def running(
    events: Sequence[str], *, block_ms: int, concurrency: int = 1, observers: Sequence[Any] = ()
) -> Iterator[tuple[Publisher, threading.Semaphore]]:
    """A consumer of ``events`` with default telemetry, a publisher, and how often a handler succeeded.

    Data with a name under ``fails_once`` fails at its first attempt.
    """
    handled = threading.Semaphore(0)
    failed: set[str] = set()

    def handle(data: dict[str, Any]) -> None:
        name = data.get("fails_once")
        if name is not None and name not in failed:
            failed.add(name)
            raise ValueError("once")
        handled.release()

    with EmbeddedServer() as server:
        consumer = Consumer(
            server.url,
            "measured",
            "measuring",
            concurrency=concurrency,
            block_ms=block_ms,
            backoff_base_ms=10,
            backoff_jitter=0.0,
            observers=observers,
        )
        for event in events:
            consumer.on(event, handle)
        with consumer, Publisher(server.url, "measured") as publisher:
            yield publisher, handled


def hops(*, fails: bool, messages: int = 5) -> dict[str, Any]:
    """The calls of each thread for one message; one that ``fails`` is handled at the second attempt.

    The median of some: a look that is due now and then may fall into the time of one.
    """
    calls = Calls()
    calls.install()
    seen: list[dict[str, dict[str, int]]] = []
    with running(["measured.event"], block_ms=_LONG_BLOCK_MS) as (publisher, handled):
        for number in range(messages + 1):
            time.sleep(_QUIET_S)
            calls.clear()
            calls.recording = True
            publisher.publish("measured.event", {"fails_once": f"{number}"} if fails else {})
            _wait(handled)
            time.sleep(_QUIET_S)
            calls.recording = False
            seen.append(calls.summary())
    calls.uninstall()
    # What is done once (imports, caches) is no message's: the first one brings it about.
    threads = {
        actor: {
            count: statistics.median_low([each[actor][count] if actor in each else 0 for each in seen[1:]])
            for count in ("calls", "modules", "hops")
        }
        for actor in (_OF_A_RETRY if fails else _OF_A_MESSAGE)
    }
    return {"threads": threads, "observers_per_fact": max(map(len, calls.told.values()), default=0)}


def questions(events: int, *, reads: int = 3) -> dict[str, Any]:
    """What the fetcher's code asks per read that brings one message.

    The object that holds the mailboxes is the one that both the fetcher's and the workers' code call.
    """
    calls = Calls()
    calls.install()
    names = [f"measured.event{number}" for number in range(events)]
    with running(names, block_ms=_LONG_BLOCK_MS, concurrency=_SEVERAL) as (publisher, handled):
        publisher.publish(names[0], {})
        _wait(handled)
        time.sleep(_QUIET_S)
        calls.recording = True
        for read in range(reads):
            publisher.publish(names[read % events], {})
            _wait(handled)
            time.sleep(_QUIET_S / 2 + events / 2000)
        calls.recording = False
    calls.uninstall()
    return {"events": events, **calls.questions()}


def idle(events: int, *, seconds: float = 3.0) -> dict[str, Any]:
    """The fetcher's CPU time per read that brings nothing: the rest of such a round is the server's."""
    reads = [0]

    class Observer:
        def notice(self, fact: object) -> None:
            reads[0] += type(fact).__name__ == "Polled"

    names = [f"measured.event{number}" for number in range(events)]
    with running(names, block_ms=1, concurrency=_SEVERAL, observers=[Observer()]):
        time.sleep(0.5)
        fetcher = next(thread for thread in threading.enumerate() if role(thread.name) == "fetcher")
        clock = time.pthread_getcpuclockid(fetcher.ident or 0)
        used, first = time.clock_gettime(clock), reads[0]
        time.sleep(seconds)
        used, rounds = time.clock_gettime(clock) - used, max(reads[0] - first, 1)
    return {"events": events, "reads": rounds, "cpu_us": round(used / rounds * 1e6, 1)}


def _per(count: int, rounds: int) -> float:
    return round(count / max(rounds, 1), 2)


def _wait(handled: threading.Semaphore) -> None:
    if not handled.acquire(timeout=20.0):
        raise RuntimeError("the message was not handled within 20 s")


def main() -> None:
    """Measure one thing and print it as JSON; the consumer's own log lines go nowhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["hops", "retry", "questions", "idle"])
    parser.add_argument("--events", type=int, default=1)
    arguments = parser.parse_args()
    logging.raiseExceptions = False
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the library's log goes to stdout by default
    measured: dict[str, Any]
    if arguments.what in ("hops", "retry"):
        measured = hops(fails=arguments.what == "retry")
    else:
        measured = (questions if arguments.what == "questions" else idle)(arguments.events)
    with out:
        json.dump(measured, out)


if __name__ == "__main__":
    main()
