"""One frame of `streamix top`: what Redis and the metrics pages answered, as records and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamix_queue.admin import GroupLag, Inspector, Member, StreamSight, rates_between
from streamix_queue.cli.shared.durations import in_words
from streamix_queue.cli.shared.output import Column, note, say, table
from streamix_queue.cli.top.handler_stats import handlers, runtime
from streamix_queue.cli.top.pages import Page

__all__ = ["Frame", "Look", "frame", "look_at", "print_frame", "summary_of", "tables_of"]

Pages = Sequence[tuple[Page | None, Page]]

_ACTIVE_S = 30.0
"""A member that runs asks Redis every few seconds."""
_MAX_GROUPS = 20
_COUNT_TO = 2000

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
    """What Redis answered: the stream at one moment, and of its groups what was asked right after it."""

    sight: StreamSight
    lags: tuple[GroupLag, ...]
    members: tuple[tuple[str, Member], ...]
    more_groups: int


@dataclass(frozen=True)
class Frame:
    """What is printed: records as JSON has them, and what could not be read (``problems``)."""

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
    """What two looks at Redis and at the metrics pages say. Pure."""
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


def print_frame(output: str, taken: Frame) -> None:
    """Print a frame as tables, and what could not be read on stderr."""
    say(summary_of(taken))
    for columns, records in tables_of(taken):
        if records:
            say("")
            table(output, columns, records)
    for problem in taken.problems:
        note(problem)


def tables_of(taken: Frame) -> list[tuple[tuple[Column, ...], list[dict[str, Any]]]]:
    """The tables of a frame from top to bottom: columns and records, the members last."""
    return [
        (_GROUPS, taken.groups),
        (_HANDLERS, taken.handlers),
        (_WORKERS, taken.workers),
        (_MEMBERS, taken.members),
    ]


def summary_of(taken: Frame) -> str:
    """One line about the stream."""
    found = taken.stream
    return (
        f"stream {found['stream']}: {found['entries']} entries, "
        f"{_rate(found['published_per_s']) or '-'} published/s, {found['dead_letters']} dead letters"
    )


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
