"""The one that strikes: at random processes of a fleet, and at its server, as the work goes on."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.fleet import Fleet
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server

__all__ = ["Nemesis"]


class Nemesis:
    """Keeps ``size`` processes alive, and strikes each time so many messages more were handled.

    It strikes by progress and not by the clock, so that a slow machine gets as many blows for its
    work as a fast one, and only at processes that have begun to work. Its choices follow ``seed``.

    Args:
        fleet: Whose processes it keeps and strikes.
        seed: Of its choices.
        size: Processes to keep alive.
        every: Fewest and most successes from one strike to the next.
        blows: Blow → its weight: ``kill``, ``stop`` (SIGTERM), ``freeze`` (SIGSTOP for
            ``freeze_s``, then SIGCONT), ``pause_server`` (the same for the server),
            ``kill_server`` (SIGKILL, then a restart).
        server: The fleet's, for those blows.
        freeze_s: How long something frozen stays so.

    Attributes:
        struck: How often each blow fell.
        handled: Successes that it has seen.
        frozen: Process ids of those that were frozen for a while.
        unclean: Exit codes other than 0 of processes that were asked to stop.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        seed: int,
        size: int,
        every: tuple[int, int],
        blows: Mapping[str, int],
        server: Server | None = None,
        freeze_s: float = 0.0,
        **options: Any,
    ) -> None:
        self.struck: Counter[str] = Counter()
        self.handled = 0
        self.frozen: set[int] = set()
        self.unclean: list[int] = []
        self._fleet = fleet
        self._random = random.Random(seed)
        self._size = size
        self._every = every
        self._blows = dict(blows)
        self._server = server
        self._freeze_s = freeze_s
        self._options = options
        self._alive: list[ConsumerProcess] = []
        self._stopping: list[ConsumerProcess] = []
        self._seen = 0  # records that were looked at
        self._working: set[int] = set()  # process ids
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._strike_at = self._next_strike()

    @property
    def strikes(self) -> int:
        return self.struck.total()

    def rage(self, until: Callable[[], bool], timeout: float) -> None:
        """Strike until ``until()``, then heal: every process and the server run."""
        deadline = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < deadline, f"{self.handled} handled in {timeout} s, {self.struck}"
            self._look()
            self._do_what_is_due()
            # One blow at a time: what strikes a healing fleet is another test's affair.
            if self.handled >= self._strike_at and not self._later:
                self._strike()
            self._fill_up()
            time.sleep(0.01)
        while self._later:
            self._do_what_is_due()
            time.sleep(0.01)
        self._fill_up()
        self.unclean += [code for process in self._stopping if (code := process.wait(20)) != 0]

    def _look(self) -> None:
        records = self._fleet.records()
        for record in records[self._seen :]:
            if record["kind"] == "finished":
                self.handled += 1
                self._working.add(record["pid"])
        self._seen = len(records)

    def _fill_up(self) -> None:
        self._alive = [process for process in self._alive if not process.exited]
        while len(self._alive) < self._size:
            self._alive.append(self._fleet.launch(**self._options))

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()

    def _strike(self) -> None:
        targets = [process for process in self._alive if process.pid in self._working]
        if not targets:
            return
        (blow,) = self._random.choices(list(self._blows), list(self._blows.values()))
        target = self._random.choice(targets)
        self.struck[blow] += 1
        if blow == "kill":
            target.kill()
        elif blow == "stop":
            target.terminate()
            self._alive.remove(target)
            self._stopping.append(target)
        elif blow == "freeze":
            target.freeze()
            self.frozen.add(target.pid)
            self._after_a_while(target.thaw)
        elif blow == "pause_server":
            self._of_server().pause()
            self._after_a_while(self._of_server().resume)
        else:
            self._of_server().kill()
            self._of_server().restart()
        self._strike_at = self._next_strike()

    def _of_server(self) -> Server:
        assert self._server is not None
        return self._server

    def _after_a_while(self, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + self._freeze_s, action))

    def _next_strike(self) -> int:
        return self.handled + self._random.randint(*self._every)
