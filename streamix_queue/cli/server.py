"""`streamix server`: a server in the foreground, for development."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import click

from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.options import examples
from streamix_queue.cli.shared.output import note, write
from streamix_queue.embedded import EmbeddedServer, EmbeddedServerError, PortTaken
from streamix_queue.signals import Signals

__all__ = ["server"]


@click.command(epilog=examples("streamix server --port 6380 --data-dir ./data"))
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=6379, show_default=True, help="0 takes any free one."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data here. Without it the data ends with the server.",
)
def server(port: int, data_dir: Path | None) -> int:
    """Run a server for development.

    A real Redis or Valkey on 127.0.0.1: the one on the PATH, or that of the extra 'embedded'.
    Prints its URL when it is ready; Ctrl-C stops it. Not for production.
    """
    embedded = EmbeddedServer(port=port, data_dir=data_dir)
    ended: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    asked = threading.Event()

    def stop() -> None:
        asked.set()
        embedded.stop()

    def watch() -> None:
        try:
            embedded.wait()
        except EmbeddedServerError:
            pass  # stopped before this thread had begun
        finally:
            ended.put(None)

    with Signals() as signals:
        try:
            embedded.start()
        except EmbeddedServerError as error:
            advice = ["Take another port:  streamix server --port 0"] if isinstance(error, PortTaken) else []
            raise Failure(Exit.CONDITION, str(error), *advice) from None
        try:
            write(embedded.url)
            kept = (
                f"keeps its data in {embedded.data_dir}"
                if data_dir
                else "its data ends with it: see --data-dir"
            )
            note(f"{embedded.binary}; {kept}. Ctrl-C stops it.")
            threading.Thread(target=watch, name="streamix.server", daemon=True).start()
            signals.wait(ended, stop)
        finally:
            embedded.stop()
    if not asked.is_set():
        raise Failure(Exit.CONDITION, "the server ended by itself")
    return Exit.OK
