"""streaq."""

from __future__ import annotations

from typing import Any

import uvloop
from streaq import Worker

from load.job import Job, main


def _task(job: Job) -> tuple[Any, Any]:
    worker = Worker(redis_url=job.url, concurrency=32, prefetch=32)

    async def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return worker, worker.task(name="handle", ttl=0)(handle)


def publish(job: Job) -> None:
    async def run() -> None:
        worker, task = _task(job)
        async with worker:
            await job.send_all_async(lambda data: task.enqueue(**data))

    uvloop.run(run())


def consume(job: Job) -> None:
    worker, _ = _task(job)
    job.ready()
    job.end_when_done()
    worker.run_sync()


if __name__ == "__main__":
    main(publish, consume)
