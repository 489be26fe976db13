"""The peers: what is installed, which Python it needs, and the settings it is measured with.

Every one is set up to keep a message until it is handled where it offers that, and to do nothing
more than necessary (no results, no events). Its settings stand in the table beside its figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from load.harness import BARE, FLOOR, OURS

_DRIVERS = "load.peers.drivers."
# What all get, so that the client library is no difference between them, unless they forbid it.
_REDIS = ("redis==8.1.0", "hiredis==3.5.0")
_UVLOOP = "uvloop==0.23.0"
THIS_TREE = "."
"""Stands for the dependencies of this tree, which itself is run from where it lies."""


@dataclass(frozen=True)
class Peer:
    """One library.

    Attributes:
        title: As the table shows it.
        driver: The module that drives it.
        requirements: What pip installs, pinned, or `THIS_TREE`.
        settings: What one has to know to judge its row.
        published: Messages that it publishes one by one, timed, and consumes.
        filled: Messages that it publishes in bulk and consumes instead; 0 for none.
        latency: False if its latency is not to be measured, for it would take hours.
        python: Versions that will do, the best first. The same for all, or the rows would
            compare interpreters.
        options: For its driver.
    """

    title: str
    driver: str
    requirements: tuple[str, ...]
    settings: str
    published: int = 5_000
    filled: int = 0
    latency: bool = True
    python: tuple[str, ...] = ("3.12", "3.13", "3.11", "3.10")
    options: Mapping[str, Any] = field(default_factory=dict)


PEERS = {
    "bare": Peer(
        FLOOR,
        BARE,
        (THIS_TREE,),
        "at least once: XREADGROUP COUNT 100, one XACK a batch; no retry, no lease",
        published=20_000,
        filled=200_000,
    ),
    "streamix": Peer(
        "streamix-queue (this tree)",
        OURS,
        (THIS_TREE,),
        "at least once: leases, durable retries, dead letters; 1 thread, its defaults",
        published=20_000,
        filled=200_000,
    ),
    "streamix-spans": Peer(
        "streamix-queue, every span",
        OURS,
        (THIS_TREE,),
        "the same, with every span recorded by the OpenTelemetry SDK and thrown away",
        published=20_000,
        filled=100_000,
        options={"telemetry": "spans"},
    ),
    "streamix-0.1.0": Peer(
        "streamix-queue 0.1.0",
        _DRIVERS + "streamix_0_1_0",
        # Under redis-py 8 it dies after five idle seconds.
        ("streamix-queue==0.1.0", "redis==5.3.1", "hiredis==3.5.0"),
        "at least once: ack after the handler; 1 thread, batch 10 (its default)",
        published=2_000,
        filled=30_000,
    ),
    "dramatiq": Peer(
        "dramatiq 2.2.1",
        _DRIVERS + "dramatiq",
        ("dramatiq[redis]==2.2.1", *_REDIS),
        "at least once: ack after the actor; 8 threads",
        published=10_000,
    ),
    "celery": Peer(
        "celery 5.7.0",
        _DRIVERS + "celery",
        ("celery==5.7.0", "kombu[redis]", "hiredis==3.5.0"),
        "at least once: acks_late, visibility timeout of an hour; 8 threads, prefetch 100, no results",
    ),
    "rq": Peer(
        "rq 3.0.0",
        _DRIVERS + "rq",
        ("rq==3.0.0", *_REDIS),
        "at least once by its registry of started jobs; SimpleWorker (no fork a job), no results",
        published=2_000,
    ),
    "huey": Peer(
        "huey 3.5.4",
        _DRIVERS + "huey",
        ("huey==3.5.4", *_REDIS),
        "at most once: popped before it runs, a crash loses it; 8 threads, no results",
        published=10_000,
    ),
    "arq": Peer(
        "arq 0.28.0",
        _DRIVERS + "arq",
        ("arq==0.28.0", "redis<6", "hiredis", _UVLOOP),
        "at least once: the job is kept until it is done; 100 at a time, uvloop, no results",
    ),
    "saq": Peer(
        "SAQ 0.26.4",
        _DRIVERS + "saq",
        ("saq[redis]==0.26.4", "typing_extensions", "hiredis", _UVLOOP),
        "at least once by its sweep of stuck jobs; 100 at a time, uvloop",
    ),
    "taskiq": Peer(
        "taskiq-redis 1.2.4 (streams)",
        _DRIVERS + "taskiq",
        ("taskiq-redis==1.2.4", "hiredis", _UVLOOP),
        "at least once: acked when executed; 100 at a time, uvloop, no results",
        published=10_000,
    ),
    "faststream": Peer(
        "FastStream 0.7.8 (streams)",
        _DRIVERS + "faststream",
        ("faststream[redis]==0.7.8", "hiredis", _UVLOOP),
        "acked after the handler, but nothing picks up what a crash leaves; 100 a read, uvloop",
        published=10_000,
    ),
    "streaq": Peer(
        "streaq 7.2.0",
        _DRIVERS + "streaq",
        ("streaq==7.2.0", _UVLOOP),
        "at least once: reclaimed when idle; 32 at a time, results not kept",
    ),
    "ardiq": Peer(
        "ardiq 1.2.0 (Rust core)",
        _DRIVERS + "ardiq",
        ("ardiq==1.2.0", _UVLOOP),
        "at least once: reclaimed when idle; its defaults, no results",
        published=10_000,
        filled=50_000,
        python=("3.12", "3.13"),
    ),
    "pydocket": Peer(
        "pydocket 0.27.0",
        _DRIVERS + "pydocket",
        ("pydocket==0.27.0", _UVLOOP),
        "at least once: lease renewed; 20 at a time; its default poll interval bounds it",
        published=500,
        latency=False,
    ),
}
