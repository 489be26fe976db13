"""huey on Redis, with threads."""

from __future__ import annotations

import logging
from typing import Any

from huey import RedisHuey

from load.job import Job, main


def _task(job: Job) -> tuple[RedisHuey, Any]:
    queue = RedisHuey("load", url=job.url, results=False)

    def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return queue, queue.task()(handle)


def publish(job: Job) -> None:
    _, task = _task(job)
    job.send_all(lambda data: task(**data))


def consume(job: Job) -> None:
    queue, _ = _task(job)
    logging.getLogger("huey").setLevel(logging.ERROR)
    consumer = queue.create_consumer(workers=8)
    job.ready()
    job.end_when_done()
    consumer.run()


if __name__ == "__main__":
    main(publish, consume)
