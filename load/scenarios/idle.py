"""What does a consumer cost that has nothing to do?"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from load.harness import BARE_LOOP, Bench, Contestant
from load.probes import cpu_seconds
from load.results import Bar, Result, Row

QUESTION = "How much of a core, and how many commands a second, does an idle consumer take?"
CPU = "% of a core"
COMMANDS = "commands/s"  # inside scripts as well: what the server has to do
TRIPS = "round trips/s"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a run (%(default)s)")
    parser.add_argument(
        "--settle-seconds", type=float, default=2.0, help="not counted, at the start (%(default)s)"
    )


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("idle", QUESTION, vars(options), server=bench.server.version)
    ours = [
        Contestant(
            f"{threads} thread{'s' * (threads > 1)}",
            options={"consumer": {"concurrency": threads}, "telemetry": "metrics"},
        )
        for threads in (1, 8)
    ]
    bare = Contestant(BARE_LOOP.name, BARE_LOOP.driver, options={"until_stopped": True})

    def measure(contestant: Contestant, row: Row) -> str:
        return _watch(bench, contestant, row, options)

    bench.rounds(result, [bare, *ours], measure)
    for contestant in ours:
        row = result.row(contestant.name)
        result.bars.append(Bar(f"{contestant.name} < 0.5 % of a core", row.median(CPU), 0.5, at_most=True))
        result.bars.append(Bar(f"{contestant.name} < 5 commands/s", row.median(COMMANDS), 5, at_most=True))
    return result


def _watch(bench: Bench, contestant: Contestant, row: Row, options: Namespace) -> str:
    # One message that never comes: it would end when it has it.
    with bench.start(contestant, "consume", 1, deadline_s=options.seconds + 60) as child:
        child.wait_ready()
        time.sleep(options.settle_seconds)
        reads = bench.server.round_trips()
        began, commands, used = time.monotonic(), bench.server.commands(), cpu_seconds(child.pid)
        time.sleep(options.seconds)
        seconds = time.monotonic() - began
        used_after = cpu_seconds(child.pid)
        carried_out = bench.server.commands() - commands
        del carried_out["info"]  # our own
        asked = bench.server.round_trips() - reads - 3  # two for the commands, and this one
        figures = {COMMANDS: sum(carried_out.values()) / seconds, TRIPS: asked / seconds}
        if used is not None and used_after is not None:
            figures = {CPU: 100 * (used_after - used) / seconds, **figures}
        child.ask_to_stop()
        child.result()
    row.add(figures)
    row.note = ", ".join(f"{name} {count / seconds:.2g}/s" for name, count in carried_out.most_common())
    return ", ".join(f"{value:.2f} {name}" for name, value in figures.items())
