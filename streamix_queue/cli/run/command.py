"""`streamix run`: an application's consumers, in this process or in several supervised ones."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click

from streamix_queue.cli.run.service_manager import ServiceManager
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.options import examples
from streamix_queue.core.errors import BrokerUnavailable

__all__ = ["run"]

LEVELS = ("debug", "info", "warning", "error")
_PR_SET_PDEATHSIG = 1


@click.command(
    epilog=examples(
        "streamix run app.workers:consumer",
        "streamix run app.workers:consumer --concurrency 16 --processes 4",
        "streamix run app.orders:consumer app.invoices:consumer",
    )
)
@click.argument("targets", metavar="MODULE:CONSUMER ...", nargs=-1, required=True)
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="In place of each consumer's own.")
@click.option(
    "--processes",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Run N processes, and start one anew when it dies. Without it: this process.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="For an application that sets up no logging of its own.",
)
@click.option("--parent", type=int, hidden=True, help="Process that started this one, and that it ends with.")
def run(
    targets: tuple[str, ...],
    concurrency: int | None,
    processes: int | None,
    log_level: str,
    parent: int | None,
) -> int:
    """Run the consumer of an application, or several in one process.

    MODULE:CONSUMER is found from the current directory on: a streamix_queue.Consumer, or a
    function without arguments that returns one. Of several each has its own threads, and when
    one ends, all do.

    SIGTERM and Ctrl-C stop it cleanly: running handlers may finish, the rest goes back to the
    group at once, exit code 0. A second signal ends it now. Exit code 70 says that something
    kept crashing. Under systemd with Type=notify it tells when it is ready, and feeds the
    watchdog while it is well.
    """
    if parent is not None and not _end_with(parent):
        return Exit.OK
    if processes is not None:
        from streamix_queue.cli.run.processes import supervise  # noqa: PLC0415 - the processes do not need it

        options = ["--log-level", log_level]
        options += [] if concurrency is None else ["--concurrency", str(concurrency)]
        return supervise([*targets, *options], processes)
    # Imported here: the supervisor of several processes does not need redis-py.
    from streamix_queue.cli.run.application import load_consumers, state_of  # noqa: PLC0415
    from streamix_queue.consumer import run as run_all  # noqa: PLC0415

    consumers = load_consumers(targets)
    if concurrency is not None:
        for consumer in consumers:
            consumer.set_concurrency(concurrency)
    _log_to_stderr(log_level)
    try:
        with ServiceManager(lambda: state_of(consumers)):
            run_all(*consumers)
    except BrokerUnavailable as error:
        raise Failure(
            Exit.UNREACHABLE,
            f"cannot reach Redis: {error}",
            "Start one for development with:  streamix server",
            f"Another one is named by the redis_url that {' or '.join(targets)} is made with.",
        ) from None
    return Exit.OK


def _log_to_stderr(level: str) -> None:
    """Show the library's log, unless the application has its own ideas."""
    if not logging.getLogger().handlers:
        logging.basicConfig(
            stream=sys.stderr,
            level=level.upper(),
            format="%(asctime)s %(process)d %(levelname)-7s %(message)s",
        )


def _end_with(parent: int) -> bool:
    """Make this process stop cleanly when its parent ends; False if that has ended already.

    Only Linux sends a signal then, and may send it several times: once for each thread of the
    parent that ends. A second SIGTERM would end the drain, so SIGHUP is asked for, of which only
    the first counts.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        signal.signal(signal.SIGHUP, _parent_is_gone)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGHUP))
    return os.getppid() == parent


def _parent_is_gone(*_: object) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.raise_signal(signal.SIGTERM)
