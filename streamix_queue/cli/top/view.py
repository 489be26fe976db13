"""One frame of `streamix top`: what was seen, as data for JSON, as tables and as a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamix_queue.admin import GroupLag, Inspector, Member, StreamSight, rates_between
from streamix_queue.cli.shared.durations import in_words
from streamix_queue.cli.shared.output import Column, drawing, note, printable, say, table
from streamix_queue.cli.top.metrics import Page, handlers, runtime

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Frame", "Look", "frame", "look_at", "print_frame", "screen"]

Pages = Sequence[tuple[Page | None, Page]]

_ACTIVE_S = 30.0
"""Longer than a member that runs is ever silent, by far."""
_MAX_GROUPS = 20
_COUNT_TO = 2000
_FEWEST_MEMBERS = 3

_GROUPS = (
    Column("GROUP", "group", "cyan", shrinks=True),
    Column("READ/S", "read_shown"),
    Column("HANDLED/S", "handled_shown"),
    Column("LAG", "lag_shown"),
    Column("PENDING", "pending"),
    Column("DELAYED", "delayed"),
    Column("INBOX", "inbox"),
    Column("WAITS", "waits"),
    Column("ACTIVE", "active_shown"),
)
_HANDLERS = (
    Column("EVENT", "event", "cyan", shrinks=True),
    Column("GROUP", "group", shrinks=True),
    Column("HANDLED/S", "handled_shown"),
    Column("FAILED/S", "failed_shown"),
    Column("P50", "p50"),
    Column("P99", "p99"),
)
_WORKERS = (
    Column("WORKERS OF", "group", "cyan", shrinks=True),
    Column("BUSY", "busy"),
    Column("IDLE", "idle"),
    Column("STOPPED", "stopped", wide=True),
    Column("RESTARTS", "restarts"),
)
_MEMBERS = (
    Column("MEMBER", "member", "cyan", shrinks=True),
    Column("GROUP", "group", shrinks=True),
    Column("PENDING", "pending"),
    Column("OF INBOXES", "inbox_pending"),
    Column("IDLE", "idle"),
    Column("INACTIVE S", "inactive_s", wide=True),
)


@dataclass(frozen=True)
class Look:
    """What Redis told: the stream at one moment, and of its groups what was asked right after it."""

    sight: StreamSight
    lags: tuple[GroupLag, ...]
    members: tuple[tuple[str, Member], ...]
    more_groups: int


@dataclass(frozen=True)
class Frame:
    """What is shown: records as JSON has them, and what could not be had."""

    stream: dict[str, Any]
    groups: list[dict[str, Any]]
    members: list[dict[str, Any]]
    handlers: list[dict[str, Any]] = field(default_factory=list)
    workers: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def look_at(inspector: Inspector, group: str | None) -> Look:
    """Ask Redis: some round trips per group, of 20 groups at most. Raises `BrokerError`."""
    sight = inspector.outline()
    names = [each.name for each in sight.groups if group in (None, each.name)]
    lags = [inspector.lag(name, count_to=_COUNT_TO) for name in names[:_MAX_GROUPS]]
    there = tuple(lag for lag in lags if lag is not None)
    members = [(lag.group, member) for lag in there for member in inspector.consumers(lag.group)]
    return Look(sight, there, tuple(members), max(0, len(names) - _MAX_GROUPS))


def frame(
    stream: str, group: str | None, before: Look | None, now: Look, pages: Pages, problems: Sequence[str]
) -> Frame:
    """Two looks at Redis and at the metrics pages as what is shown. Pure."""
    rates = rates_between(None if before is None else before.sight, now.sight)
    active = {name: sum(_active(m) for of, m in now.members if of == name) for name, _ in now.members}
    groups = []
    for lag in now.lags:
        rate = rates.groups.get(lag.group)
        read, handled = (None, None) if rate is None else (rate.read, rate.handled)
        groups.append(
            {
                "group": lag.group,
                "read_per_s": read,
                "read_shown": _rate(read),
                "handled_per_s": handled,
                "handled_shown": _rate(handled),
                "lag": lag.lag,
                "lag_exact": lag.lag_exact,
                "lag_shown": f"{lag.lag}{'' if lag.lag_exact else '+'}",
                "pending": lag.pending,
                "delayed": lag.delayed,
                "inbox": lag.inbox,
                "undelivered_age_s": lag.undelivered_age_s,
                "waits": in_words(lag.undelivered_age_s),
                "members": lag.members,
                "members_active": active.get(lag.group, 0),
                "active_shown": f"{active.get(lag.group, 0)}/{max(lag.members, active.get(lag.group, 0))}",
            }
        )
    busiest = sorted(now.members, key=lambda each: (-each[1].pending - each[1].inbox_pending, each[0]))
    more = [f"{now.more_groups} more groups; name one with --group"] if now.more_groups else []
    errors = [f"group {lag.group!r}: {error}" for lag in now.lags for error in lag.errors]
    return Frame(
        stream={
            "stream": stream,
            "entries": now.sight.entries,
            "published_per_s": rates.published,
            "dead_letters": now.sight.dead_letters,
        },
        groups=groups,
        members=[_member(name, each) for name, each in busiest],
        handlers=[_handler(each) for each in handlers(stream, group, pages)],
        workers=runtime(group, pages),
        problems=[*problems, *errors, *more],
    )


def print_frame(output: str, shown: Frame) -> None:
    """Print a frame as tables, what could not be had on stderr."""
    say(_summary(shown))
    for columns, records in _tables(shown):
        if records:
            say("")
            table(output, columns, records)
    for problem in shown.problems:
        note(problem)


def screen(
    output: str, shown: Frame, heading: str, problems: Sequence[str], size: tuple[int, int]
) -> RenderableType:
    """A frame for a screen of so many columns and lines, what could not be had on top."""
    from rich.console import Group  # noqa: PLC0415

    width, height = size
    rows = [
        _line(heading, "bold"),
        _line(_summary(shown)),
        *(_line(problem, "yellow") for problem in (*problems, *shown.problems)),
    ]
    drawn: list[RenderableType] = list(rows)
    used = len(rows)
    if not shown.groups:
        drawn += [_line(""), _line("The stream has no groups.")]
        used += 2
    for columns, records in _tables(shown):
        fitting = records
        if records is shown.members:
            fitting = records[: max(_FEWEST_MEMBERS, height - used - 3)]
        if fitting:
            cut = fitting if output == "wide" else [_cut(each, width) for each in fitting]
            drawn += [_line(""), drawing(output, columns, cut)]
            used += 2 + len(fitting)
        if len(fitting) < len(records):
            drawn.append(_line(f"and {len(records) - len(fitting)} more members"))
    return Group(*drawn)


def _tables(shown: Frame) -> list[tuple[tuple[Column, ...], list[dict[str, Any]]]]:
    return [
        (_GROUPS, shown.groups),
        (_HANDLERS, shown.handlers),
        (_WORKERS, shown.workers),
        (_MEMBERS, shown.members),
    ]


def _summary(shown: Frame) -> str:
    found = shown.stream
    return (
        f"stream {found['stream']}: {found['entries']} entries, "
        f"{_rate(found['published_per_s']) or '-'} published/s, {found['dead_letters']} dead letters"
    )


def _line(text: str, style: str = "") -> RenderableType:
    from rich.text import Text  # noqa: PLC0415

    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _cut(each: dict[str, Any], width: int) -> dict[str, Any]:
    """With names so short that the numbers beside them stay on the screen."""
    from rich.text import Text  # noqa: PLC0415

    shorter = dict(each)
    for key, share in (("group", 6), ("member", 3), ("event", 3)):
        if key in each:
            name = Text(printable(each[key]))
            name.truncate(max(12, width // share), overflow="ellipsis")
            shorter[key] = name.plain
    return shorter


def _active(member: Member) -> bool:
    return member.idle_s is not None and member.idle_s <= _ACTIVE_S


def _member(group: str, member: Member) -> dict[str, Any]:
    return {
        "group": group,
        "member": member.name,
        "pending": member.pending,
        "inbox_pending": member.inbox_pending,
        "idle_s": member.idle_s,
        "idle": in_words(member.idle_s),
        "inactive_s": member.inactive_s,
    }


def _handler(found: dict[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "handled_shown": _rate(found["handled_per_s"]),
        "failed_shown": _rate(found["failed_per_s"]),
        "p50": _time(found["p50_s"]),
        "p99": _time(found["p99_s"]),
    }


def _rate(per_s: float | None) -> str | None:
    if per_s is None:
        return None
    return f"{per_s:.1f}" if per_s < 100 else f"{per_s:.0f}"


def _time(seconds: float | None) -> str | None:
    if seconds is None or seconds >= 1:
        return in_words(seconds)
    return f"{seconds * 1000:.3g}ms"
