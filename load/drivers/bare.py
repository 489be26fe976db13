"""The bare loop as a process under test."""

from __future__ import annotations

from load import bare
from load.job import Job, main


def publish(job: Job) -> None:
    connection = bare.client(job.url)
    connection.ping()
    how = job.options.get("how", "single")
    if how == "pipelined":
        job.sent(bare.publish_pipelined(connection, job.messages, job.options.get("batch", 100)))
    elif how == "threads":
        count = job.options["threads"]
        job.sent(bare.in_threads(count, job.messages, lambda n: bare.publish(connection, n)))
    else:
        job.send_all(lambda data: bare.publish(connection, data["n"], data["t"]))


def fill(job: Job) -> None:
    job.sent(bare.publish_pipelined(bare.client(job.url), job.messages, 1000))


def consume(job: Job) -> None:
    connection = bare.client(job.url)
    connection.ping()
    job.ready()
    if job.options.get("until_stopped"):
        bare.consume(connection, job.tally.handler(), lambda: not job.stop_asked.is_set())
    else:
        job.end_when_done()
        bare.consume(connection, job.tally.handler(), lambda: True)
    job.report()


if __name__ == "__main__":
    main(publish, consume, fill)
