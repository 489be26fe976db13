"""`streamix lag`: how far behind the groups are, once or repeatedly."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from streamix_queue.admin import GroupLag, Inspector
from streamix_queue.cli.shared.choosing import chosen_groups, require_any_group
from streamix_queue.cli.shared.durations import duration_ms, in_words
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import (
    Column,
    at_terminal,
    drawing,
    note,
    printable,
    record,
    table,
    write,
)

__all__ = ["lag"]

_COLUMNS = (
    Column("GROUP", "group", "cyan"),
    Column("LAG", "lag_shown"),
    Column("PENDING", "pending"),
    Column("DELAYED", "delayed"),
    Column("INBOX", "inbox"),
    Column("OLDEST WAITS", "waits"),
    Column("OLDEST IDLE", "idle"),
    Column("OVERDUE S", "overdue_s", wide=True),
    Column("CONSUMERS", "consumers", wide=True),
    Column("DEAD LETTERS OF ALL", "dead_letters"),
)
_COUNT_TO = 10_000
_MAX_FAIL_OVER = 1_000_000

Look = Callable[[], list[GroupLag]]


@click.command(
    epilog=examples(
        "streamix lag",
        "streamix lag --group billing --fail-over 1000 --fail-age 5m",
        "streamix lag --watch --interval 2s",
    )
)
@stream_options
@group_option("Of this group; of all without it.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C: off a terminal a line per group each time.")
@click.option(
    "--interval", type=duration_ms, default="2s", show_default=True, metavar="TIME", help="Of --watch."
)
@click.option(
    "--fail-over",
    type=click.IntRange(0, _MAX_FAIL_OVER),
    metavar="N",
    help="Exit code 1 if more than N entries of a group were not delivered, of stream and inboxes.",
)
@click.option(
    "--fail-age",
    type=duration_ms,
    metavar="TIME",
    help="Exit code 1 if something has waited for longer: undelivered, pending and idle, or a due retry.",
)
@output_option
def lag(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    watch: bool,
    interval: int,
    fail_over: int | None,
    fail_age: int | None,
    output: str,
) -> int:
    """Show how far behind the groups are.

    LAG was not delivered yet; PENDING was, and is not settled; DELAYED are retries that wait for
    their time; INBOX are retries, replays and hand-overs on their way. Where Redis does not know
    the lag it is counted, up to 10,000 (or --fail-over), and a + says that there are more.
    """
    if interval < 100:
        raise click.BadParameter("expected 100ms or more", param_hint="--interval")
    count_to = max(_COUNT_TO, (fail_over or 0) + 1)
    with Inspector(redis_url, stream) as inspector:

        def look() -> list[GroupLag]:
            names = chosen_groups(inspector.group_names(), group)
            found = [inspector.lag(name, count_to=count_to) for name in names]
            return [each for each in found if each is not None]

        def failing(found: list[GroupLag]) -> list[str]:
            return [why for each in found for why in _failing(each, fail_over, fail_age)]

        if fail_over is not None or fail_age is not None:
            require_any_group(stream, inspector.group_names())
        if watch:
            return _watch(look, failing, interval / 1000, output)
        found = look()
        if not table(output, _COLUMNS, map(_as_row, found)):
            note("The stream has no groups.")
        return _end(found, failing(found))


def _watch(look: Look, failing: Callable[[list[GroupLag]], list[str]], interval_s: float, output: str) -> int:
    show: Callable[[list[GroupLag]], None] = _lines if output in ("table", "wide") else _records
    if output in ("table", "wide") and at_terminal(sys.stdout):
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        console = Console(highlight=False, markup=False, emoji=False)
        with Live(console=console, auto_refresh=False) as live:

            def refresh(found: list[GroupLag]) -> None:
                rows = [_as_row(each) for each in found]
                live.update(drawing(output, _COLUMNS, rows) if rows else "No groups.", refresh=True)

            return _look_repeatedly(look, failing, interval_s, refresh)
    return _look_repeatedly(look, failing, interval_s, show)


def _look_repeatedly(
    look: Look,
    failing: Callable[[list[GroupLag]], list[str]],
    interval_s: float,
    show: Callable[[list[GroupLag]], None],
) -> int:
    try:
        while True:
            found = look()
            show(found)
            if problems := failing(found):
                return _end(found, problems)
            time.sleep(interval_s)
    except KeyboardInterrupt:  # how a watch ends
        return Exit.OK


def _lines(found: list[GroupLag]) -> None:
    now = time.strftime("%H:%M:%S")
    for each in map(_as_row, found):
        write(
            f"{now} {printable(each['group'])} lag={each['lag_shown']} pending={each['pending']} "
            f"delayed={each['delayed']} inbox={each['inbox']} waits={each['waits']} idle={each['idle']} "
            f"dead_letters={each['dead_letters']}"
        )


def _records(found: list[GroupLag]) -> None:
    for each in found:
        record(_as_row(each))


def _end(found: list[GroupLag], problems: list[str]) -> int:
    for each in found:
        for error in each.errors:
            note(f"group {each.group!r}: {error}")
    for problem in problems:
        note(problem)
    return Exit.CONDITION if problems else Exit.OK


def _failing(found: GroupLag, fail_over: int | None, fail_age_ms: int | None) -> list[str]:
    problems: list[str] = []
    if fail_over is not None and found.undelivered > fail_over:
        more = "" if found.lag_exact else " or more"
        problems.append(
            f"group {found.group!r}: {found.undelivered}{more} entries are not delivered, "
            f"more than {fail_over}"
        )
    if fail_age_ms is not None and found.age_s * 1000 > fail_age_ms:
        problems.append(
            f"group {found.group!r}: the oldest has waited {in_words(found.age_s)}, "
            f"longer than {in_words(fail_age_ms / 1000)}"
        )
    return problems


def _as_row(found: GroupLag) -> dict[str, Any]:
    return {
        "group": found.group,
        "lag": found.lag,
        "lag_exact": found.lag_exact,
        "lag_shown": f"{found.lag}{'' if found.lag_exact else '+'}",
        "undelivered": found.undelivered,
        "pending": found.pending,
        "delayed": found.delayed,
        "overdue_s": round(found.overdue_s, 3),
        "inbox": found.inbox,
        "inboxes": [vars(each) for each in found.inboxes],
        "dead_letters": found.dead_letters,
        "undelivered_age_s": found.undelivered_age_s,
        "waits": in_words(found.undelivered_age_s),
        "pending_idle_s": found.pending_idle_s,
        "idle": in_words(found.pending_idle_s),
        "consumers": found.members,
    }
