"""docket (pydocket)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from docket import Docket, Worker

from load.job import Job, main


def _task(job: Job) -> Callable[..., Coroutine[Any, Any, None]]:
    async def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return handle


def publish(job: Job) -> None:
    async def run() -> None:
        handle = _task(job)
        async with Docket(name="load", url=job.url) as docket:
            docket.register(handle)
            await job.send_all_async(lambda data: docket.add(handle)(**data))

    uvloop.run(run())


def consume(job: Job) -> None:
    async def run() -> None:
        async with Docket(name="load", url=job.url) as docket:
            docket.register(_task(job))
            async with Worker(docket, concurrency=20) as worker:
                job.ready()
                job.end_when_done()
                await worker.run_forever()

    uvloop.run(run())


if __name__ == "__main__":
    main(publish, consume)
