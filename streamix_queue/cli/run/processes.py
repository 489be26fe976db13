"""Several processes of one consumer under a supervisor: restarted when they end, stopped together."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from streamix_queue.cli.run.service_manager import ServiceManager, State
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.output import note
from streamix_queue.core.errors import RestartsExceeded
from streamix_queue.runtime import (
    Actor,
    ChildCrashed,
    ChildRestarted,
    ChildSpec,
    Supervisor,
)
from streamix_queue.runtime.actor import exponential
from streamix_queue.signals import Signals

__all__ = ["supervise"]

_FAILURES_PER_PROCESS = 5
_PERIOD_S = 60.0
_FOREVER_S = 7 * 86_400.0  # each process bounds its own drain (drain_timeout_ms)
_SUPERVISOR_SILENT_S = 30.0
_FINAL = (Exit.USAGE, Exit.IMPORT)  # a restart would end in the same way


def supervise(arguments: Sequence[str], count: int) -> int:
    """Run ``streamix run`` with ``arguments`` in ``count`` processes until a signal; the exit code.

    The first SIGTERM or SIGINT goes to each as a SIGTERM, and they are waited for. The second
    kills them.
    """
    fleet = _Fleet(arguments)
    supervisor = Supervisor(
        [ChildSpec(f"process {n}", fleet.member(n), _FOREVER_S) for n in range(1, count + 1)],
        intensity=_FAILURES_PER_PROCESS * count,
        period=_PERIOD_S,
        backoff=lambda attempt: exponential(attempt, 0.1, 30.0),
        give_up=RestartsExceeded,
        notice=fleet.notice,
    )
    ended: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    failure: list[BaseException] = []

    def watch() -> None:
        try:
            supervisor.run()
        except BaseException as error:  # noqa: BLE001 - raised again below, on the main thread
            failure.append(error)
        finally:
            ended.put(None)

    thread = threading.Thread(target=watch, name="streamix.processes", daemon=True)
    fleet.stop = stop = _Stop(supervisor)

    def look() -> State:
        # Started says only that every process was: none reports when it takes messages.
        silent_s = time.monotonic() - supervisor.last_look
        started = len(fleet.members) == count
        return State(started=started, healthy=silent_s < _SUPERVISOR_SILENT_S, stopping=stop.asked)

    with ServiceManager(look), _FleetSignals(fleet) as signals:
        supervisor.start()
        thread.start()
        signals.wait(ended, stop)
        thread.join()
    if failure and isinstance(failure[0], RestartsExceeded):
        raise Failure(Exit.GAVE_UP, f"gave up, for starting anew did not help: {failure[0]}")
    if failure:
        raise failure[0]
    return fleet.exit_code


class _Stop:
    """Stops the supervisor, and remembers it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.asked = False

    def __call__(self) -> None:
        self.asked = True
        self._supervisor.stop()


class _Fleet:
    """What the processes have in common. Thread-safe: each attribute is replaced, never changed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        parent = ["--parent", str(os.getpid())]
        self.command = [sys.executable, "-m", "streamix_queue", "run", *arguments, *parent]
        self.exit_code = 0
        self.members: tuple[_Process, ...] = ()
        self.stop: Callable[[], None] = lambda: None

    def member(self, number: int) -> _Build:
        return _Build(self, number)

    def give_up(self, code: int) -> None:
        """One of them ended as it would after a restart, too: stop all, with its exit code."""
        self.exit_code = code
        self.stop()

    def kill(self) -> None:
        """End them now. Called from a signal handler: takes no lock."""
        for member in self.members:
            member.kill()

    def notice(self, event: object) -> None:
        """Print what the supervisor reports."""
        if isinstance(event, ChildCrashed):
            note(f"streamix: {event.name}: {event.error}")
        elif isinstance(event, ChildRestarted):
            note(f"streamix: {event.name}: started anew after {event.after:.1f} s")


class _Build:
    """Makes the actor of one process anew after each restart."""

    def __init__(self, fleet: _Fleet, number: int) -> None:
        self._fleet = fleet
        self._number = number
        self._before: _Process | None = None

    def __call__(self) -> Actor:
        fleet = self._fleet
        process = _Process(fleet, self._number, first=self._before is None)
        fleet.members = (*(member for member in fleet.members if member is not self._before), process)
        self._before = process
        return process


class _RedisUnreachable(Exception):
    """A process ended because Redis could not be reached at its start: it is tried again."""


class _Process(Actor):
    """Starts one process and waits for it, on this actor's thread.

    The thread lasts as long as the process: the kernel sends the death signal that `run` asks for
    when the thread that started the process ends.
    """

    progress_deadline = None
    transient = (_RedisUnreachable,)

    def __init__(self, fleet: _Fleet, number: int, *, first: bool) -> None:
        super().__init__(f"process {number}")
        self._fleet = fleet
        # Each serves its metrics on a port of its own, and the same one after a restart.
        self._environment = {**os.environ, "STREAMIX_PROCESS_INDEX": str(number - 1)}
        self._first = first
        self._lock = threading.Lock()  # a stop comes before the start, or finds the process
        self._process: subprocess.Popen[bytes] | None = None

    def step(self) -> None:
        with self._lock:
            if self.stopping.is_set():
                return
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then
            # signals each of them once. A second signal would end them without a drain.
            self._process = process = subprocess.Popen(
                self._fleet.command, env=self._environment, start_new_session=True
            )
        note(f"streamix: {self.name} runs, pid {process.pid}")
        self._judge(process, process.wait())

    def _judge(self, process: subprocess.Popen[bytes], code: int) -> None:
        first, self._first = self._first, False
        if self.stopping.is_set():
            # One that SIGTERM killed had not set its handlers yet, nor read any message.
            if code not in (0, -signal.SIGTERM) and not self._fleet.exit_code:
                self._fleet.exit_code = Exit.CONDITION
                note(f"streamix: {self.name} (pid {process.pid}) {_ending(code)}")
            return
        if code in _FINAL or (code == Exit.UNREACHABLE and first):
            self._fleet.give_up(code)
            self.stopping.set()
            return
        ended = f"pid {process.pid} {_ending(code)}"
        if code == Exit.UNREACHABLE:
            raise _RedisUnreachable(ended)
        raise ChildProcessError(ended)

    def on_transient(self, error: BaseException, attempt: int) -> float:
        return exponential(attempt, 0.2, 5.0)

    def wake(self) -> None:
        """From the supervisor's thread: ask the process to stop."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()

    def kill(self) -> None:
        """From a signal handler."""
        if self._process is not None:
            self._process.kill()


class _FleetSignals(Signals):
    """The second signal kills the processes, too."""

    def __init__(self, fleet: _Fleet) -> None:
        super().__init__()
        self._fleet = fleet

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._count:
            self._fleet.kill()
        super()._handle(number, frame)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
