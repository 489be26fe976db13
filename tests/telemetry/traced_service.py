"""A service as a user writes it: ``python -m tests.telemetry.traced_service publish|consume URL STREAM``.

Where its traces go the environment says.
"""

from __future__ import annotations

import sys
from typing import Any

from opentelemetry import trace

from streamix_queue import StreamMessage, consume, publish
from streamix_telemetry import configure


def on_order(data: dict[str, Any], message: StreamMessage) -> None:
    if message.retries < data["fails"]:
        raise ValueError(f"attempt {message.retries + 1} fails")


def main(role: str, url: str, stream: str) -> None:
    with configure(f"orders-{role}", logs="off"):
        if role == "consume":
            consume(
                "order.placed",
                on_order,
                redis_url=url,
                stream=stream,
                group="g",
                retry_limit=2,
                backoff_base_ms=20,
                backoff_max_ms=50,
                block_ms=200,
            )
        else:
            for fails in (2, 99):
                with trace.get_tracer("shop").start_as_current_span("checkout"):
                    message = publish("order.placed", {"fails": fails}, redis_url=url, stream=stream)
                print(message.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
