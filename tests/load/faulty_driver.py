"""A contestant that can be told to lose a message, to take one twice, to die or to be silent."""

from __future__ import annotations

import sys
import time

from load import bare
from load.job import Job, main
from load.payload import STREAM


def publish(job: Job) -> None:
    connection = bare.client(job.url)
    for n in range(job.messages):
        if n != job.options.get("lose"):
            bare.publish(connection, n)
        if n == job.options.get("repeat"):
            bare.publish(connection, n)
    job.sent(1.0)


def consume(job: Job) -> None:
    if job.options.get("die"):
        sys.exit("died of what it was told")
    if job.options.get("silent"):
        time.sleep(600)
    length = bare.client(job.url).xlen(STREAM)
    job.ready()
    for n in range(int(length)):
        if n != job.options.get("lose"):
            job.tally.hit(n, 0)
        if n == job.options.get("repeat"):
            job.tally.hit(n, 0)
    job.wait()
    job.report()


if __name__ == "__main__":
    main(publish, consume)
