"""`streamix top`: its options, one frame with ``--once``, and the looks that frames are made of."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import click

from streamix_queue.admin import Inspector
from streamix_queue.cli.shared.choosing import chosen_groups
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import at_terminal, document
from streamix_queue.cli.top.frame import Frame, Look, frame, look_at, print_frame
from streamix_queue.cli.top.handler_stats import handlers
from streamix_queue.cli.top.pages import Page, PageUnreadable, fetch, where

__all__ = ["top"]

_SHORTEST_MS, _LONGEST_MS = 100, 3_600_000
_TIMEOUT_MS = 2000
"""Of a request: the screen must not stand still for long."""


@click.command(
    epilog=examples(
        "streamix top",
        "streamix top --metrics http://127.0.0.1:9464/metrics",
        "streamix top --once --interval 5s -o json",
    )
)
@stream_options
@group_option("Of this group; of all without it.")
@click.option(
    "--metrics",
    multiple=True,
    metavar="URL",
    help="Metrics page of a consumer (its metrics_port), for handler times and workers. Can be repeated.",
)
@click.option(
    "--interval",
    type=duration_ms,
    default="2s",
    show_default=True,
    metavar="TIME",
    help="Between two looks, of which the rates are.",
)
@click.option("--once", is_flag=True, help="Look twice, print one frame, and end.")
@output_option
def top(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    metrics: tuple[str, ...],
    interval: int,
    once: bool,
    output: str,
) -> int:
    """Watch the stream, its groups and their members work.

    READ/S and HANDLED/S are of the stream itself: entries that were delivered, and that were
    settled in any way, retries and dead letters included. WAITS is the age of the oldest entry
    that no member has got, ACTIVE the members that talked to Redis within 30 s. A - is what
    Redis does not know. `q` or Ctrl-C ends it.
    """
    if not _SHORTEST_MS <= interval <= _LONGEST_MS:
        raise click.BadParameter("expected 100ms to 1h", param_hint="--interval")
    for url in metrics:
        if where(url) is None:
            raise click.BadParameter(
                "expected a URL such as http://127.0.0.1:9464/metrics", param_hint="--metrics"
            )
    tables = output in ("table", "wide")
    if not once and not (tables and at_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"):
        raise click.UsageError(
            "top needs a terminal to draw on: --once prints one frame, in any format, "
            "and `streamix lag --watch` goes on line by line"
        )
    with Inspector(redis_url, stream, timeout_ms=_TIMEOUT_MS) as inspector:
        chosen_groups(inspector.group_names(), group)
        watch = _Watch(inspector, stream, group, metrics)
        if not once:
            from streamix_queue.cli.top.live import run_screen  # noqa: PLC0415 - --once needs no rich

            return run_screen(watch.look, interval / 1000, output)
        watch.look()
        time.sleep(interval / 1000)
        taken = watch.look()
    if tables:
        print_frame(output, taken)
    else:
        document(output, {**taken.stream, **{k: v for k, v in vars(taken).items() if k != "stream"}})
    return Exit.OK


class _Watch:
    """Looks at Redis and the pages repeatedly; keeps the previous look, for rates."""

    def __init__(self, inspector: Inspector, stream: str, group: str | None, urls: Sequence[str]) -> None:
        self._inspector = inspector
        self._stream = stream
        self._group = group
        self._urls = urls
        self._before: Look | None = None
        self._pages: dict[str, Page] = {}

    def look(self) -> Frame:
        """What is now, and what happened since the last look. Raises `BrokerError`."""
        before, self._before = self._before, None  # rates never reach back over an outage
        now = look_at(self._inspector, self._group)
        self._before = now
        pages: list[tuple[Page | None, Page]] = []
        problems: list[str] = []
        for url in self._urls:
            earlier = self._pages.pop(url, None)
            try:
                page = fetch(url)
            except PageUnreadable as error:
                problems.append(f"no metrics of {where(url)}: {error}"[:300])
            else:
                self._pages[url] = page
                pages.append((earlier, page))
                if not handlers(self._stream, None, [(None, page)]):
                    problems.append(f"{where(url)} tells nothing of stream {self._stream!r}")
        return frame(self._stream, self._group, before, now, pages, problems)
