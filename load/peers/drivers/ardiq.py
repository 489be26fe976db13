"""ardiq: Python tasks on a Rust core."""

from __future__ import annotations

import time
from typing import Any

import uvloop
from ardiq import Ardiq

from load.job import Job, main
from load.payload import payload

_BATCH = 1000


def _task(job: Job) -> tuple[Any, Any]:
    application = Ardiq(redis_url=job.url.rsplit("/", 1)[0], queue_name="load", result_ttl_ms=0)

    async def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return application, application.task()(handle)


def publish(job: Job) -> None:
    async def run() -> None:
        _, task = _task(job)
        await job.send_all_async(lambda data: task.enqueue(**data))

    uvloop.run(run())


def fill(job: Job) -> None:
    async def run() -> None:
        application, task = _task(job)
        began = time.perf_counter()
        for first in range(0, job.messages, _BATCH):
            numbers = range(first, min(first + _BATCH, job.messages))
            await application.enqueue_many([task.prepare(**payload(n)) for n in numbers])
        job.sent(time.perf_counter() - began)

    uvloop.run(run())


def consume(job: Job) -> None:
    async def run() -> None:
        application, _ = _task(job)
        job.ready()
        job.end_when_done()
        await application.run()

    uvloop.run(run())


if __name__ == "__main__":
    main(publish, consume, fill)
