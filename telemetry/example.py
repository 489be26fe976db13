"""A small service to look at: it publishes, consumes, and fails now and then.

``REDIS_URL``, ``METRICS_HOST`` and ``METRICS_PORT`` say where; the rest is ``OTEL_*``. Ends with
Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time

from streamix_queue import Consumer, Publisher, Reject
from streamix_telemetry import configure

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
STREAM, GROUP = "shop.events", "billing"


def charge(order: dict[str, int]) -> None:
    """Works, most of the time."""
    time.sleep(random.uniform(0.005, 0.05))
    luck = random.random()
    if luck < 0.05:
        raise TimeoutError(f"the bank does not answer for {order['amount']}")
    if luck < 0.06:
        raise Reject("the card is stolen")


def publish_for_ever(stop: threading.Event) -> None:
    """Twenty orders a second."""
    with Publisher(URL, STREAM) as publisher:
        for number in itertools.count(1):
            if stop.wait(0.05):
                return
            publisher.publish("order.placed", {"order": number, "amount": random.randrange(1, 500)})


def main() -> None:
    """Run until told to stop."""
    host = os.environ.get("METRICS_HOST", "127.0.0.1")
    port = int(os.environ.get("METRICS_PORT", "9464"))
    stop = threading.Event()
    with configure(os.environ.get("OTEL_SERVICE_NAME", "example")):
        consumer = Consumer(URL, STREAM, GROUP, concurrency=4, metrics_port=port, metrics_host=host)
        consumer.on("order.placed", charge)
        publishing = threading.Thread(target=publish_for_ever, args=(stop,))
        publishing.start()
        try:
            consumer.run()
        finally:
            stop.set()
            publishing.join()


if __name__ == "__main__":
    main()
