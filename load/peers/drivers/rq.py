"""RQ with its SimpleWorker, which runs jobs in its own process."""

from __future__ import annotations

import redis
from rq import Queue, SimpleWorker

from load.job import Job, main
from load.peers.drivers import rq_task


def publish(job: Job) -> None:
    queue = Queue(connection=redis.Redis.from_url(job.url))
    job.send_all(
        lambda data: queue.enqueue(rq_task.handle, kwargs=data, result_ttl=0),
    )


def consume(job: Job) -> None:
    rq_task.tally = job.tally
    connection = redis.Redis.from_url(job.url)
    worker = SimpleWorker([Queue(connection=connection)], connection=connection)
    job.ready()
    job.end_when_done()
    worker.work(logging_level="ERROR")


if __name__ == "__main__":
    main(publish, consume)
