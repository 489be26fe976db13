"""A group of `load.retention`: marks each message that it has handled in a file that others map."""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from pathlib import Path
from typing import Any

from load.retention import EVENT, STREAM
from streamix_queue import Consumer


def main(job: dict[str, Any]) -> None:
    """Consume until the line to the harness is cut."""
    sleep_s: float = job["sleep_s"]
    with Path(job["marks"]).open("r+b") as file:
        marks = mmap.mmap(file.fileno(), 0)
    consumer = Consumer(
        job["url"],
        STREAM,
        job["group"],
        concurrency=job["concurrency"],
        keep_ms=0,
        claim_idle_ms=3000,
    )

    @consumer.on(EVENT)
    def mark(data: dict[str, Any]) -> None:
        if sleep_s:
            time.sleep(sleep_s)
        n = data["n"]
        marks[n] = min(255, marks[n] + 1)

    with consumer:
        os.write(job["answer_fd"], json.dumps({"ready": True}).encode() + b"\n")
        os.read(0, 1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
