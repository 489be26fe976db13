"""SAQ on Redis."""

from __future__ import annotations

from typing import Any

import uvloop
from saq import Queue, Worker

from load.job import Job, main


def publish(job: Job) -> None:
    async def run() -> None:
        queue = Queue.from_url(job.url)
        await queue.connect()
        await job.send_all_async(lambda data: queue.enqueue("handle", **data))

    uvloop.run(run())


def consume(job: Job) -> None:
    async def handle(context: Any, *, n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    async def run() -> None:
        queue = Queue.from_url(job.url)
        await queue.connect()
        worker = Worker(queue, functions=[("handle", handle)], concurrency=100)
        job.ready()
        job.end_when_done()
        await worker.start()

    uvloop.run(run())


if __name__ == "__main__":
    main(publish, consume)
