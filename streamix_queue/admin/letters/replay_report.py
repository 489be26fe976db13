"""What became of the dead letters of one replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streamix_queue.core.errors import BrokerUnavailable

__all__ = ["Progress", "Refused", "ReplayInterrupted", "ReplayReport", "Replayed"]


@dataclass(frozen=True)
class Replayed:
    """A dead letter that is on its way to its group again."""

    id: str
    message_id: str
    event: str
    group: str


@dataclass(frozen=True)
class Refused:
    """A dead letter that cannot be replayed, and why. It stays where it is."""

    id: str
    why: str


@dataclass
class ReplayReport:
    """What `Admin.replay` did.

    Attributes:
        replayed: Sent back (with ``dry_run``: would be).
        refused: Could not be.
        missing: Ids under which there is no dead letter: replayed before, removed, or mistyped.
        dry_run: True if nothing was written.
        stopped: Why it stopped before its end: a canary did not do well. ``""`` if it did not.
    """

    replayed: list[Replayed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    dry_run: bool = False
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """True if everything that was asked for was replayed."""
        return not self.refused and not self.missing and not self.stopped

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {
            "replayed": len(self.replayed),
            "refused": len(self.refused),
            "missing": len(self.missing),
        }


class ReplayInterrupted(BrokerUnavailable):
    """Redis went away, or is full, during a replay. Asked again, it goes on where it stopped.

    Attributes:
        report: What was done before. The letter after the last one may be replayed, too.
    """

    def __init__(self, text: str, report: ReplayReport) -> None:
        super().__init__(text)
        self.report = report


Progress = Callable[[Replayed | Refused | str], None]
"""Told of each letter as it is done; a ``str`` is the id of a missing one."""
