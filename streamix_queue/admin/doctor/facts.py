"""What is known about a server, a stream and its groups at one moment; and what follows: findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamix_queue.core.retention import Pin

__all__ = ["DoctorFacts", "Finding", "GroupFacts", "MemberFacts"]


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor found.

    Attributes:
        id: Which check found it.
        severity: ``ok``, ``info``, ``warn`` or ``fail``.
        title: What is so, in one line.
        detail: Why it matters.
        mend: The command that mends it; ``""`` if there is nothing to mend.
    """

    id: str
    severity: str
    title: str
    detail: str = ""
    mend: str = ""


@dataclass(frozen=True)
class MemberFacts:
    """A consumer of a group. ``ours`` if it is of this release; None if that cannot be told."""

    name: str
    pending: int
    idle_s: float
    ours: bool | None


@dataclass(frozen=True)
class GroupFacts:
    """A group of the stream. Times in seconds; of its pending entries the oldest 100 are known."""

    name: str
    pending: int = 0
    members: tuple[MemberFacts, ...] = ()
    longest_idle_s: float = 0.0
    most_deliveries: int = 0
    delayed: int = 0
    overdue_s: float = 0.0
    paused: int = 0


@dataclass(frozen=True)
class DoctorFacts:
    """Everything that the checks look at.

    Attributes:
        stream: Its name.
        info: What INFO tells; empty if it may not be asked.
        now_s: Redis' clock, Unix time.
        skew_s: Redis' clock minus ours.
        user: Our user; ``""`` if it is not known.
        refused: Commands that our user may not call.
        wrong_types: Key → (type it should have, type it has).
        length: Entries on the stream; None if there is no stream.
        first_s: When the oldest entry was added by its id, Unix time; None if there is none.
        last_s: The newest.
        trimmed: Somebody trims the stream.
        keeps: Group → how long it wants entries to be kept, ms; negative is for ever.
        pins: Groups that hold the stream back.
        failed: Dead letters.
        groups: The groups.
        dead_after_s: A member that was silent for longer is dead.
    """

    stream: str
    info: Mapping[str, str] = field(default_factory=dict)
    now_s: float = 0.0
    skew_s: float = 0.0
    user: str = ""
    refused: tuple[str, ...] = ()
    wrong_types: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    length: int | None = None
    first_s: float | None = None
    last_s: float | None = None
    trimmed: bool = False
    keeps: Mapping[str, int] = field(default_factory=dict)
    pins: tuple[Pin, ...] = ()
    failed: int = 0
    groups: tuple[GroupFacts, ...] = ()
    dead_after_s: float = 600.0
