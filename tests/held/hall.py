"""The lanes of a process and of one channel, and what goes through them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.entry import Entry, entry_of
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.wire import build
from streamix_queue.held.channel_lanes import ChannelLanes
from streamix_queue.held.endings import Endings
from streamix_queue.held.lanes import Lanes, Share

TERMS = Terms(60.0, threading.Lock())


def entry(number: int = 0, *, key: bytes = b"s", deliveries: int = 1, fields: Iterable[bytes] = ()) -> Entry:
    return entry_of(key, b"%d-0" % number, tuple(fields), deliveries, "new", time.perf_counter())


def delivery(event: str, number: int = 0, *, deliveries: int = 1) -> Attempt:
    """A delivery as the router leaves it."""
    made = entry(number, deliveries=deliveries)
    attempt = Attempt(made, Lease(made, TERMS, deliveries, time.monotonic()))
    attempt.message = build(event, {}, str(number), "now")
    return attempt


class Hall:
    """A channel's lanes on those of a process, with the names that the tests use."""

    def __init__(
        self,
        limits: Mapping[str, int],
        concurrency: int,
        alone_s: float = 30.0,
        on_suspect_done: Callable[[], None] = lambda: None,
        lanes: Lanes | None = None,
    ) -> None:
        self.lanes = lanes or Lanes(alone_s)
        self.endings = Endings()
        self.own = ChannelLanes(
            self.lanes,
            limits,
            in_order=concurrency == 1,
            run=lambda attempt: None,
            endings=self.endings,
            on_room=on_suspect_done,
        )
        self.put, self.put_suspect, self.pause = self.own.put, self.own.put_suspect, self.own.pause
        self.make_room, self.appetite = self.own.make_room, self.own.appetite
        self.is_paused, self.depths = self.own.is_paused, self.own.depths
        self.take, self.done = self.lanes.take, self.lanes.done
        self.room_for_suspect = self.lanes.room_for_suspect

    def close(self) -> list[Attempt]:
        """What is handed back as the lanes are closed."""
        self.lanes.close()
        return [each for handed_back in self.handed_back() for each in handed_back]

    def handed_back(self) -> list[Sequence[Attempt]]:
        return self.endings.get_many(1000, 0.0)

    def idle(self) -> int:
        return self.lanes.waiting

    def crowded(self, event: str) -> bool:
        return event in self.appetite().closed

    def next_share(self, worker: int = 1) -> Share:
        share = self.take(worker, timeout=0.0)
        assert share is not None
        return share
