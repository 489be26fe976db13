"""taskiq with taskiq-redis' stream broker."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from load.job import Job, main


def _task(job: Job) -> tuple[RedisStreamBroker, Any]:
    broker = RedisStreamBroker(url=job.url)

    async def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return broker, broker.task(task_name="handle")(handle)


def publish(job: Job) -> None:
    async def run() -> None:
        broker, task = _task(job)
        await broker.startup()
        await job.send_all_async(lambda data: task.kiq(**data))

    uvloop.run(run())


def consume(job: Job) -> None:
    async def run() -> None:
        broker, _ = _task(job)
        await broker.startup()
        broker.is_worker_process = True
        receiver = Receiver(broker, max_async_tasks=100, run_startup=True)
        job.ready()
        job.end_when_done()
        await receiver.listen(asyncio.Event())

    uvloop.run(run())


if __name__ == "__main__":
    main(publish, consume)
