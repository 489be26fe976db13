"""Runs contestants in turn: A B A B …, each in a fresh process on an empty server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from load import filling, machine
from load.child import Child, ChildFailed
from load.payload import GROUP, STREAM
from load.results import Result, Row
from load.server import LoadServer

FLOOR = "bare redis-py"
OURS = "load.drivers.streamix"
BARE = "load.drivers.bare"


@dataclass(frozen=True)
class Contestant:
    """Something to be measured.

    Attributes:
        name: As the tables show it.
        driver: The module that drives it.
        python: Its interpreter; None for this one.
        options: What its driver is told.
        note: See `Row`.
    """

    name: str
    driver: str = OURS
    python: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def ours(self) -> bool:
        return self.driver == OURS

    def row(self, result: Result) -> Row:
        return result.row(self.name, note=self.note, ours=self.ours)


BARE_LOOP = Contestant(FLOOR, BARE)


@dataclass(frozen=True)
class Bench:
    """What every run needs.

    Attributes:
        server: The server, emptied before each run.
        repeats: Rounds.
        pinned: Keep the contestants on a core of their own.
        deadline_s: How long one run may take.
        say: Where to tell of progress.
    """

    server: LoadServer
    repeats: int = 5
    pinned: bool = True
    deadline_s: float = 300.0
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)

    # --- one run ----------------------------------------------------------------------------

    def start(self, contestant: Contestant, role: str, messages: int, *, cores: Sequence[int] | None = None,
              **job: Any) -> Child:  # fmt: skip
        """A process of ``contestant`` with a job; see `load.job.Job`."""
        where = machine.client_cores() if cores is None else cores
        settings = {"role": role, "url": self.server.url, "messages": messages, "deadline_s": self.deadline_s}
        return Child(
            contestant.driver,
            {**settings, "options": dict(contestant.options), **job},
            python=contestant.python,
            cores=where if self.pinned else (),
        )

    def run(self, contestant: Contestant, role: str, messages: int, **job: Any) -> dict[str, Any]:
        """Start it and return its result."""
        with self.start(contestant, role, messages, **job) as child:
            return child.result()

    def consume(self, contestant: Contestant, messages: int, warmup: int = 0, **job: Any) -> dict[str, Any]:
        """Let it consume what is on the stream; adds ``unsettled``, for those who use our stream."""
        result = self.run(contestant, "consume", messages, warmup=warmup, **job)
        result["unsettled"] = filling.unsettled(self.server.client, STREAM, GROUP)
        return result

    def open_loop(self, contestant: Contestant, messages: int, warmup: int, rate: float) -> dict[str, Any]:
        """Its consumer gets messages at ``rate`` from its own publisher; the consumer's result.

        Both run on the client's core, for the server would feel a neighbour more.
        """
        with self.start(contestant, "consume", messages, warmup=warmup, latencies=True) as consumer:
            consumer.wait_ready()
            self.run(contestant, "publish", messages, rate=rate)
            return consumer.result()

    # --- rounds -----------------------------------------------------------------------------

    def rounds(self, result: Result, contestants: Sequence[Contestant],
               measure: Callable[[Contestant, Row], str]) -> None:  # fmt: skip
        """Measure each in turn, `repeats` times. What fails is out, and its row says why."""
        for contestant in contestants:
            contestant.row(result)  # in the order given
        for number in range(1, self.repeats + 1):
            for contestant in contestants:
                row = contestant.row(result)
                if row.error:
                    continue
                self.server.empty()
                try:
                    told = measure(contestant, row)
                except ChildFailed as error:
                    row.error = str(error)
                    told = row.error.partition("\n")[0]
                self.say(f"{result.scenario} {number}/{self.repeats}  {contestant.name:32} {told}")
        self.server.empty()
