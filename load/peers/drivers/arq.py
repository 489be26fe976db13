"""arq."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from load.job import Job, main


def _settings(job: Job) -> RedisSettings:
    return RedisSettings(host="127.0.0.1", port=urlsplit(job.url).port or 6379)


def publish(job: Job) -> None:
    async def run() -> None:
        pool = await create_pool(_settings(job))
        await job.send_all_async(lambda data: pool.enqueue_job("handle", **data))

    uvloop.run(run())


def consume(job: Job) -> None:
    async def handle(context: Any, n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    async def run() -> None:
        worker = Worker(
            [func(handle, name="handle")],
            redis_settings=_settings(job),
            max_jobs=100,
            keep_result=0,
            handle_signals=False,
            queue_read_limit=1000,
        )
        job.ready()
        job.end_when_done()
        await worker.async_run()

    uvloop.run(run())


if __name__ == "__main__":
    main(publish, consume)
