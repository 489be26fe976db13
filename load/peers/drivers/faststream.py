"""FastStream on Redis streams."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
import uvloop
from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub

from load.job import Job, main
from load.payload import GROUP, STREAM


def publish(job: Job) -> None:
    async def run() -> None:
        broker = RedisBroker(job.url, logger=None)
        await broker.connect()
        await job.send_all_async(lambda data: broker.publish(data, stream=STREAM))

    uvloop.run(run())


def consume(job: Job) -> None:
    # It makes the group at the end of the stream, which would skip what waits there.
    redis.Redis.from_url(job.url).xgroup_create(STREAM, GROUP, "0", mkstream=True)
    broker = RedisBroker(job.url, logger=None)
    source = StreamSub(STREAM, group=GROUP, consumer="load", max_records=100)

    async def handle(data: dict[str, Any]) -> None:
        job.tally.hit(data["n"], data["t"])

    broker.subscriber(stream=source, ack_policy=AckPolicy.REJECT_ON_ERROR)(handle)

    async def run() -> None:
        await broker.start()
        job.ready()
        job.end_when_done()
        await asyncio.Event().wait()

    uvloop.run(run())


if __name__ == "__main__":
    main(publish, consume)
