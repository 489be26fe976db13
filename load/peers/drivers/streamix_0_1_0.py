"""The library's own first version, from the package index."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from load.job import Job, main
from load.payload import EVENT, GROUP, STREAM, payload
from streamix_queue import consume as consume_forever
from streamix_queue import publish as publish_one
from streamix_queue.schemas import StreamMessage

_BATCH = 500

if version("streamix-queue") != "0.1.0":
    raise SystemExit("this is not streamix-queue 0.1.0")


def publish(job: Job) -> None:
    job.send_all(lambda data: publish_one(EVENT, data, redis_url=job.url, stream=STREAM))


def fill(job: Job) -> None:
    client = Redis.from_url(job.url)
    pipeline = client.pipeline(transaction=False)
    began = time.perf_counter()
    for n in range(job.messages):
        pipeline.xadd(STREAM, StreamMessage.new(EVENT, payload(n)).to_stream_fields())
        if n % _BATCH == _BATCH - 1:
            pipeline.execute()
    pipeline.execute()
    job.sent(time.perf_counter() - began)


def consume(job: Job) -> None:
    # It makes its group at the end of the stream, which would skip what waits there.
    with suppress(ResponseError):
        Redis.from_url(job.url).xgroup_create(STREAM, GROUP, "0", mkstream=True)

    def handle(data: dict[str, Any]) -> None:
        job.tally.hit(data["n"], data["t"])

    job.end_when_done()
    threading.Timer(0.5, job.ready).start()  # it does not say when it is up
    consume_forever(EVENT, handle, redis_url=job.url, stream=STREAM, group=GROUP)


if __name__ == "__main__":
    main(publish, consume, fill)
