"""A lease: our hold on one entry, and the one place that knows whether it is still good."""

from __future__ import annotations

from contextlib import AbstractContextManager

import msgspec

from streamix_queue.core.commands import Fence
from streamix_queue.core.entry import Entry

__all__ = ["Lease", "Terms"]


class Terms:
    """What all leases of a table have in common.

    Attributes:
        lasts_s: How long a lease lasts without a renewal (s).
        lock: Taken for every write to one of these leases. One lock for all of them, for there
            are thousands, and each is written a few times in its life.
    """

    __slots__ = ("lasts_s", "lock")

    def __init__(self, lasts_s: float, lock: AbstractContextManager[object]) -> None:
        self.lasts_s = lasts_s
        self.lock = lock


class Lease(msgspec.Struct, eq=False, gc=False):
    """Thread-safe: written under the lock of its `Terms`, read without it.

    The *token* of a lease is Redis' delivery count: with the consumer's name it tells our hold
    from every other, also from a later one of our own. Who learned something about a lease by
    asking Redis names the token that it asked about; if the lease has another by now, the answer
    was about the one before, and nothing is changed.

    All times are of ``time.monotonic()`` (s).
    """

    entry: Entry
    terms: Terms
    token: int
    proved_at: float  # when Redis was asked that last proved it ours: it lasts from then on
    lost: bool = False  # another member owns the entry: no retry and no dead letter from us
    orphan: bool = False  # pending for nobody (trimmed, or its group destroyed): we hold the only copy

    # --- whoever decides ------------------------------------------------------------------------

    def good(self, now: float) -> bool:
        """Whether a handler may be started: nobody else has had the entry, or will before long."""
        return not self.lost and now - self.proved_at <= self.terms.lasts_s

    def young(self, now: float) -> bool:
        """Whether less than half of it is over: what is counted now will be started by a worker."""
        return now - self.proved_at < self.terms.lasts_s / 2

    def lapsed(self, now: float) -> bool:
        """Whether another member may have taken the entry over since it was last proved ours."""
        return now - self.proved_at >= self.terms.lasts_s

    def fence(self) -> Fence:
        """The proof that goes with a command; Redis decides by it, whatever we believe here."""
        # That a lease has not lapsed proves nothing: we may be frozen before the command is sent.
        return Fence(self.entry.key, self.entry.id, self.token, or_absent=self.orphan)

    # --- renewer and reclaimer ------------------------------------------------------------------

    def renew(self, token: int, asked_at: float) -> bool:
        """Redis, asked at ``asked_at``, says that the entry is ours under ``token``."""
        with self.terms.lock:
            if self.token != token:
                return False
            self.proved_at = asked_at
            return True

    def adopt(self, token: int, asked_at: float) -> bool:
        """The entry is pending for nobody, and was so while the lease ran; True if that is news."""
        with self.terms.lock:
            if self.token != token:
                return False
            # As good as a renewal: there is nothing that others could claim.
            self.proved_at = asked_at
            news, self.orphan = not self.orphan, True
            return news

    # --- whoever finds out ----------------------------------------------------------------------

    def lose(self, token: int | None = None) -> bool:
        """Another member owns the entry, or may; True if that is news."""
        with self.terms.lock:
            if token is not None and self.token != token:
                return False
            news, self.lost = not self.lost, True
            return news

    # --- the table ------------------------------------------------------------------------------

    def take_over(self, entry: Entry, proved_at: float) -> None:
        """The entry was delivered to us once more while we hold it: that delivery's lease is ours."""
        with self.terms.lock:
            self.token, self.proved_at, self.lost = entry.deliveries, proved_at, False
