"""One scenario for each question; the order is that of `python -m load all`."""

from __future__ import annotations

from types import ModuleType

from load.scenarios import (
    backlog,
    consume,
    failures,
    idle,
    latency,
    memory,
    mixed,
    peers,
    publish,
    publish_many,
    publish_threads,
    scaling,
    soak,
    telemetry,
)

SCENARIOS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        consume, publish, publish_many, publish_threads, latency, mixed, failures, backlog,
        scaling, memory, telemetry, idle, soak, peers,
    )
}  # fmt: skip
