"""Applications for `streamix run`: modules written into a test's directory."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

__all__ = ["APP", "write_app"]

APP = """\
    import ctypes, os, time
    from streamix_queue import Consumer

    consumer = Consumer(
        os.environ["APP_URL"], os.environ["APP_STREAM"], "workers",
        claim_idle_ms=1000, block_ms=300, drain_timeout_ms=10_000,
        prefetch=int(os.environ.get("APP_PREFETCH", 10)),
    )

    def say(line):
        os.write(1, f"{line}\\n".encode())  # whole, whatever other threads and processes write

    @consumer.on("work")
    def work(data, message):
        say(f"started {os.getpid()} {data.get('n')}")
        deadline = time.monotonic() + 30
        while "gate" in data and not os.path.exists(data["gate"]) and time.monotonic() < deadline:
            time.sleep(0.005)
        if "hold" in data:
            ctypes.PyDLL(None).sleep(data["hold"])  # with the GIL: no signal handler can run
        say(f"finished {os.getpid()} {data.get('n')}")

    def make():
        return consumer
"""


def write_app(directory: Path, text: str = APP, name: str = "app.py") -> Path:
    """Write a module; the directory it is in."""
    (directory / name).write_text(dedent(text))
    return directory
