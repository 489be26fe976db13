"""dramatiq on its Redis broker."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from load.job import Job, main


def _actor(job: Job) -> tuple[RedisBroker, Any]:
    broker = RedisBroker(url=job.url)
    dramatiq.set_broker(broker)

    def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return broker, dramatiq.actor(handle)


def publish(job: Job) -> None:
    _, actor = _actor(job)
    job.send_all(lambda data: actor.send(**data))


def consume(job: Job) -> None:
    broker, _ = _actor(job)
    dramatiq.Worker(broker, worker_threads=8).start()
    job.ready()
    job.wait()
    job.report()


if __name__ == "__main__":
    main(publish, consume)
