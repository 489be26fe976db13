"""Celery with Redis as its broker, on its thread pool."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import worker_ready

from load.job import Job, main


def _application(job: Job) -> tuple[Any, Any]:
    application = Celery("load", broker=job.url)
    application.conf.update(
        worker_prefetch_multiplier=100,
        task_ignore_result=True,
        task_acks_late=True,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )

    def handle(n: int, t: int, user_id: str, email: str) -> None:
        job.tally.hit(n, t)

    return application, application.task(name="handle")(handle)


def publish(job: Job) -> None:
    _, task = _application(job)
    job.send_all(lambda data: task.delay(**data))


def consume(job: Job) -> None:
    application, _ = _application(job)

    def ready(**_: object) -> None:
        job.ready()

    worker_ready.connect(ready)
    job.end_when_done()
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    application.worker_main(["worker", "--pool", "threads", "-c", "8", "-l", "ERROR", *quiet])


if __name__ == "__main__":
    main(publish, consume)
