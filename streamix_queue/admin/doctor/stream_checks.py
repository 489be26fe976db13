"""Checks of one stream and its groups. Pure: facts in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from shlex import join, quote

from streamix_queue.admin.doctor.facts import DoctorFacts, Finding, GroupFacts
from streamix_queue.core.retention import DEFAULT_KEEP_MS

__all__ = ["STREAM_CHECKS"]

_MANY_ENTRIES = 1000
_MANY_DELIVERIES = 10
_OVERDUE_S = 60.0
# 0.1.0 calls itself <host>-<pid>; this release adds eight hex digits to that.
_NAMED_BY_0_1_0 = re.compile(r".+-[0-9]{1,7}\Z", re.DOTALL)
_START = "streamix run --help"


def there(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether there is a stream at all."""
    if facts.length is None:
        yield Finding("stream", "info", f"There is no stream {facts.stream} yet")
    else:
        yield Finding("stream", "ok", f"{facts.length} entries, {len(facts.groups)} group(s)")


def types(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether every key of ours is of its type."""
    for key, (wanted, found) in facts.wrong_types.items():
        yield Finding(
            "key_type",
            "fail",
            f"{key} is a {found}, not a {wanted}",
            "Something else writes to a key of ours. The command moves it out of the way and keeps it.",
            "redis-cli " + join(["RENAMENX", key, f"{key}:misplaced"]),
        )


def bounded(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether somebody trims the stream."""
    if any(keep < 0 for keep in facts.keeps.values()):
        whose = ", ".join(sorted(group for group, keep in facts.keeps.items() if keep < 0))
        yield Finding("unbounded", "info", f"Nothing is trimmed: everything is kept for {whose}")
        return
    keep_s = max(facts.keeps.values(), default=DEFAULT_KEEP_MS) / 1000
    if facts.trimmed or facts.length is None or facts.first_s is None or facts.length < _MANY_ENTRIES:
        return
    age = facts.now_s - facts.first_s
    if age > keep_s * 1.25:
        yield Finding(
            "unbounded",
            "warn",
            f"Nobody trims: {facts.length} entries, the oldest from {age / 3600:.0f} h ago",
            "The stream grows until the memory is full. A running consumer of this release trims it.",
            f"streamix trim --stream {quote(facts.stream)} --yes",
        )


def pinned(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether a group is so far behind that the stream grows for its sake."""
    for pin in facts.pins:
        yield Finding(
            "pinned",
            "warn",
            f"Group {pin.group} holds the stream back from {pin.entry_id}, {pin.age_s / 3600:.0f} h ago",
            "Start its service or let it catch up. Only if the service is gone for good: the command "
            "destroys the group and gives up what it has not handled.",
            "redis-cli " + join(["XGROUP", "DESTROY", facts.stream, pin.group]),
        )


def letters(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether dead letters wait for somebody."""
    if facts.failed:
        yield Finding(
            "dead_letters",
            "info" if facts.failed < _MANY_ENTRIES else "warn",
            f"{facts.failed} dead letter(s)",
            "They stay until they are replayed or purged.",
            f"streamix dlq ls --stream {quote(facts.stream)}",
        )


def members(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether each group has living members, and none that died with work in its hands."""
    for group in facts.groups:
        if not group.members:
            yield Finding(
                "no_consumer",
                "warn",
                f"Group {group.name} has no consumer",
                "Nobody reads what is published for it. Start its service.",
                _START,
            )
        for member in group.members:
            if member.pending and member.idle_s > facts.dead_after_s:
                yield Finding(
                    "dead_consumer",
                    "warn",
                    f"{member.name} of group {group.name} is silent for {member.idle_s:.0f} s and holds "
                    f"{member.pending} entries",
                    "A running consumer of the group takes them over. So none runs, or it cannot.",
                    _START,
                )


def old_release(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether a member of a group looks like the 0.1.0 release, which drops others' events."""
    for group in facts.groups:
        for member in group.members:
            alive = member.idle_s <= facts.dead_after_s
            if alive and not member.ours and _NAMED_BY_0_1_0.match(member.name):
                yield Finding(
                    "old_release",
                    "info" if member.ours is None else "warn",
                    f"{member.name} of group {group.name} "
                    f"{'may be' if member.ours is None else 'looks like'} streamix-queue 0.1.0",
                    "0.1.0 acks events that only other members handle, and they are lost: upgrade it.",
                    "pip install --upgrade streamix-queue",
                )


def stuck(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether entries are pending that nobody settles, or that come back again and again."""
    for group in facts.groups:
        found = _stuck(group, facts.dead_after_s)
        if found:
            detail = f"{group.pending} pending in all; looked at the 100 oldest."
            yield Finding("stuck_pending", "warn", f"Group {group.name}: {found}", detail, _START)


def _stuck(group: GroupFacts, after_s: float) -> str:
    if group.longest_idle_s > after_s:
        return f"an entry is pending and untouched for {group.longest_idle_s:.0f} s"
    if group.most_deliveries >= _MANY_DELIVERIES:
        return f"an entry was delivered {group.most_deliveries} times"
    return ""


def retries(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether retries are due that nobody schedules; and what is paused."""
    for group in facts.groups:
        if group.overdue_s > _OVERDUE_S:
            title = f"Group {group.name}: retries are overdue by {group.overdue_s:.0f} s"
            yield Finding("overdue", "warn", title, "No running member schedules them.", _START)
        if group.paused:
            title = f"Group {group.name}: {group.paused} event(s) are paused"
            mend = f"streamix resume --all --stream {quote(facts.stream)} --group {quote(group.name)}"
            yield Finding(
                "paused",
                "info",
                title,
                "They wait until somebody resumes them; `streamix pause` lists them.",
                mend,
            )


STREAM_CHECKS = (there, types, bounded, pinned, letters, members, old_release, stuck, retries)
