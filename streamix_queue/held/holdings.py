"""What a process holds of one stream for one group: the state that the actors of a channel share."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from streamix_queue.core.config import ConsumerConfig, start_id
from streamix_queue.core.dead_letter import Origin
from streamix_queue.core.keys import Keys
from streamix_queue.core.registration import Registration
from streamix_queue.held.alarm import Alarm
from streamix_queue.held.channel_lanes import ChannelLanes
from streamix_queue.held.endings import Endings
from streamix_queue.held.groups import Groups
from streamix_queue.held.lanes import Lanes, Run
from streamix_queue.held.pauses import Pauses
from streamix_queue.held.router import Router
from streamix_queue.held.table import HeldTable
from streamix_queue.runtime import Credits
from streamix_queue.telling.observers import Notice, Outage

__all__ = ["Holdings"]


class Holdings:
    """Built once for each channel; each part has a lock of its own, or says who owns it.

    It outlives the actors: one that is made anew after a crash finds everything as it was.

    Args:
        config: The consumer's options; ``stream`` and ``group`` are the channel's.
        registrations: Event → its handler.
        member: This member's consumer name in the group.
        credits_: What the process may hold.
        lanes: The lanes of the process.
        run: Runs one attempt, on a worker's thread.
        notice: Tells a fact to all observers.

    Attributes:
        inboxes: Event → the group's private stream for it.
        name_is_unique: Whether no other process can have our name, so that what is pending under
            it and not held here can only be what a lost reply delivered.
        retries: Ends the scheduler's wait: a retry comes due earlier than it knows.
        sweeps: Ends the reclaimer's wait.
        sweep_asked: Set when the pending lists are to be swept at once.
    """

    def __init__(
        self,
        config: ConsumerConfig,
        registrations: Mapping[str, Registration],
        member: str,
        credits_: Credits,
        lanes: Lanes,
        run: Run,
        notice: Notice,
    ) -> None:
        self.config = config
        self.registrations = registrations
        self.notice = notice
        self.credits = credits_
        self.keys = Keys(config.stream, config.group)
        self.origin = Origin(config.stream, config.group, member)
        self.lease_s = config.claim_idle_ms / 1000
        self.name_is_unique = config.consumer is None
        self.events: Sequence[str] = list(registrations)
        self.inboxes = {event: self.keys.inbox(event) for event in registrations}
        self.outage = Outage(notice)
        self.retries, self.sweeps = Alarm(), Alarm()
        self.sweep_asked = threading.Event()
        self.table = HeldTable(credits_, self.lease_s, on_suspect_gone=self.sweeps.ring)
        self.endings = Endings()
        limits = {event: registration.concurrency for event, registration in registrations.items()}
        self.lanes = ChannelLanes(
            lanes,
            limits,
            in_order=config.concurrency == 1,
            run=run,
            endings=self.endings,
            on_room=self.sweeps.ring,
        )
        self.router = Router(registrations, self.table, self.lanes, self.endings)
        self.pauses = Pauses(self.events, self.lanes, self.endings, notice)
        self.groups = Groups(
            self.keys, tuple(self.inboxes.values()), start_id(config.start_from), notice, self.events
        )

    @property
    def streams(self) -> list[bytes]:
        """All that this channel reads: the shared stream, then the inboxes."""
        return [self.keys.stream, *self.inboxes.values()]

    def sweep_now(self) -> None:
        """From any thread: a member has handed entries back."""
        self.sweep_asked.set()
        self.sweeps.ring()
