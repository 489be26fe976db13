"""Do more threads and processes do more work?"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from typing import Any

from load import filling, machine
from load.child import Child
from load.drivers.handlers import spin
from load.filling import fill
from load.harness import Bench, Contestant
from load.payload import GROUP, STREAM
from load.results import Bar, Result, Row

QUESTION = "How much of the ceiling do threads reach that wait, and how much do processes add that compute?"
FIGURE = "messages/s"
OF_CEILING = "of the ceiling"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 8, 64], help="(%(default)s)")
    parser.add_argument("--sleep-ms", type=float, default=10.0, help="a waiting handler's time (%(default)s)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="(%(default)s)")
    parser.add_argument(
        "--spin", type=int, default=20_000, help="turns of a computing handler's loop (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a run, about (%(default)s)")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("scaling", QUESTION, vars(options), server=bench.server.version)
    threads = [_threads(count, options) for count in options.threads]
    processes = [_processes(count, options) for count in options.processes]

    # So long that what is left to one process at the end does not count.
    work = max(50, int(options.seconds / _seconds_of(options.spin)))

    def measure(contestant: Contestant, row: Row) -> str:
        if "spin" in contestant.options:
            return _measure_processes(bench, contestant, row, work)
        ceiling = contestant.options["consumer"]["concurrency"] * 1000 / options.sleep_ms
        return _measure_threads(bench, contestant, row, ceiling, options.seconds)

    bench.rounds(result, [*threads, *processes], measure)
    most = threads[-1].name
    result.bars.append(Bar(f"{most} ≥ 0.95 of the ceiling", result.row(most).median(OF_CEILING), 0.95))
    if len(processes) > 1:
        value = result.ratio(processes[-1].name, processes[0].name, FIGURE)
        text = f"{processes[-1].name} ≥ 1.8 × {processes[0].name}, the server on the same cores"
        result.bars.append(Bar(text, value, 1.8))
    return result


def _seconds_of(turns: int) -> float:
    """How long a handler computes on this machine; the best of some, for they can only be disturbed."""
    times: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        spin(turns)
        times.append(time.perf_counter() - began)
    return min(times)


def _threads(count: int, options: Namespace) -> Contestant:
    settings = {"consumer": {"concurrency": count}, "sleep_ms": options.sleep_ms}
    return Contestant(
        f"{count} thread{'s' * (count > 1)} that wait {options.sleep_ms:g} ms", options=settings
    )


def _processes(count: int, options: Namespace) -> Contestant:
    settings = {"consumer": {"concurrency": 1}, "spin": options.spin, "processes": count, "marks": True}
    return Contestant(f"{count} process{'es' * (count > 1)} that compute", options=settings)


def _measure_threads(bench: Bench, contestant: Contestant, row: Row, ceiling: float, seconds: float) -> str:
    messages = max(50, int(ceiling * seconds))
    fill(bench.server.client, messages)
    one = bench.consume(contestant, messages, warmup=messages // 10)
    rate = one["per_second"] or float("nan")
    figures = {FIGURE: rate, OF_CEILING: rate / ceiling}
    row.add(
        figures, messages=messages, lost=one["lost"], duplicates=one["duplicates"], unsettled=one["unsettled"]
    )
    return f"{rate:>10,.1f}/s, {rate / ceiling:.3f} of the ceiling"


def _measure_processes(bench: Bench, contestant: Contestant, row: Row, messages: int) -> str:
    """Several members of one group; each counts what it gets, and the counts are added up."""
    with ExitStack() as stack:
        # Not pinned: they shall have all cores, beside the server.
        children = [
            stack.enter_context(bench.start(contestant, "consume", messages, cores=machine.cores()))
            for _ in range(contestant.options["processes"])
        ]
        for child in children:
            child.wait_ready()
        busy_before = _server_cpu_s(bench)
        fill(bench.server.client, messages)
        results = _until_all_is_acked(bench, children)
    seconds = (max(one["ended_ns"] for one in results) - min(one["first_ns"] for one in results)) / 1e9
    lost, duplicates = _added_up(results, messages)
    server_share = (_server_cpu_s(bench) - busy_before) / seconds
    figures = {FIGURE: messages / seconds, "server's share of a core": server_share}
    row.add(figures, messages=messages, lost=lost, duplicates=duplicates)
    return f"{messages / seconds:>10,.1f}/s, lost {lost}, duplicates {duplicates}"


def _until_all_is_acked(bench: Bench, children: list[Child]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + bench.deadline_s
    while filling.unsettled(bench.server.client, STREAM, GROUP) and time.monotonic() < deadline:
        time.sleep(0.01)
    ended_ns = time.monotonic_ns()
    for child in children:
        child.ask_to_stop()
    results = [child.result() for child in children]
    # A member that got nothing has no first message; it does not count.
    return [{**one, "ended_ns": ended_ns} for one in results if one["first_ns"]]


def _added_up(results: list[dict[str, Any]], messages: int) -> tuple[int, int]:
    marks = [bytes.fromhex(one["marks"]) for one in results]
    lost = sum(1 for seen in zip(*marks, strict=True) if not any(seen)) if marks else messages
    return lost, sum(one["handled"] for one in results) - (messages - lost)


def _server_cpu_s(bench: Bench) -> float:
    info = bench.server.client.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])
