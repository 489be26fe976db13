"""The janitor: trims what no group needs any more, and clears up after its own group."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.broker.protocol import ConsumerBroker, Duty
from streamix_queue.core.errors import BrokerError, BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import (
    NamesRemoved,
    PinsSeen,
    StreamPinned,
    StreamTrimmed,
    StreamUnpinned,
    UpkeepRefused,
)
from streamix_queue.core.retention import PINNED_AFTER_MS, Trimming
from streamix_queue.held.holdings import Holdings

__all__ = ["Janitor", "look_every"]

_LONGEST_WAIT_S, _SHORTEST_WAIT_S = 15.0, 1.0
_CHORES_EVERY_S = 60.0
_BREATH_S = 0.005
_FEWEST, _FIRST, _MOST = 100, 500, 10_000
_QUICK_S, _SLOW_S = 0.004, 0.010
_SILENT_MS = 3_600_000
_MAX_EVENTS = 1000
_PAGE = 200


def look_every(keep_ms: int | None) -> float:
    """Seconds between looks: often enough that a short ``keep`` means something."""
    wanted = _LONGEST_WAIT_S if keep_ms is None else keep_ms / 10_000
    return min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, wanted))


class Janitor(BrokerActor):
    """Each member runs one; by a lock in Redis one of them trims the stream, and one clears up a group.

    Nothing depends on it: what is trimmed is decided by the server, in one step with the
    trimming, and what Redis refuses is stated once and left, for messages flow all the same.
    """

    def __init__(self, broker: ConsumerBroker, holdings: Holdings) -> None:
        super().__init__("janitor", broker, holdings.outage)
        self._keys = holdings.keys
        self._keep_ms = holdings.config.keep_ms
        self._notice = holdings.notice
        # A peer renews and sweeps in every lease, however long that is.
        self._silent_ms = max(_SILENT_MS, round(holdings.lease_s * 2000))
        self._every_s = look_every(self._keep_ms)
        self._limit = _FIRST
        self._round_trip_s = 0.0
        self._duty_until = 0.0
        self._wait_s = self._a_while()
        self._next_chores = 0.0
        self._pinning: tuple[str, ...] = ()
        self._saw_pins = False
        self._refused: dict[str, str] = {}

    def setup(self) -> None:
        """Note our wish before anybody else trims."""
        self._guarded("duty", self._take_duty)
        self.answered()  # it may have been tried before, and the next look is far away

    def step(self) -> None:
        """Wait, then look."""
        if self.rest(self._wait_s):
            return
        self._wait_s = 0.0  # after an error at once: an outage is over only when every actor had an answer
        self.run_once()
        self._wait_s = self._a_while()

    def _a_while(self) -> float:
        return self._every_s * random.uniform(0.7, 1.0)  # noqa: S311 - spreads the members

    def run_once(self) -> None:
        """One look; all that is to be done if it is our duty."""
        duty = self._guarded("duty", self._take_duty) or Duty(stream=False, group=False)
        if duty.stream and self._keep_ms is not None:
            self._guarded("trim", self._trim_stream)
        elif self._saw_pins:
            self._saw_pins = False
            self._notice(PinsSeen(self._keys.stream_name, ()))
        if duty.group and time.monotonic() >= self._next_chores:
            self._next_chores = time.monotonic() + _CHORES_EVERY_S
            self._guarded("inboxes", self._clear_inboxes)
            self._guarded("names", self._remove_names)
            self._guarded("suspects", self._forget_suspects)
        self.answered()

    # --- the stream -----------------------------------------------------------------------------

    def _take_duty(self) -> Duty:
        began = time.monotonic()
        ttl_s = 2.5 * self._every_s
        duty = self.broker.take_duty(self._keep_ms, round(ttl_s * 1000))
        self._round_trip_s = time.monotonic() - began
        self._duty_until = began + ttl_s / 2
        return duty

    def _trim_stream(self) -> None:
        total, answer = 0, Trimming()
        while True:
            answer = self._trim(self._keys.stream)
            total += answer.removed
            if not answer.removed or self.rest(_BREATH_S):
                break
            if time.monotonic() > self._duty_until and not self._take_duty().stream:
                break
        if total:
            self._notice(StreamTrimmed(self._keys.stream_name, total, answer.length))
        self._tell_pins(answer)

    def _trim(self, key: bytes) -> Trimming:
        """One step, of a size that does not keep the server from others' work for long."""
        began = time.monotonic()
        keep_ms = self._keep_ms if key == self._keys.stream else 0
        answer = self.broker.trim(key, keep_ms, self._limit, PINNED_AFTER_MS)
        cost_s = time.monotonic() - began - self._round_trip_s
        if cost_s > _SLOW_S:
            self._limit = max(_FEWEST, self._limit // 2)
        elif cost_s < _QUICK_S and answer.removed:
            self._limit = min(_MOST, self._limit * 2)
        return answer

    def _tell_pins(self, answer: Trimming) -> None:
        if answer.pins or self._saw_pins:
            self._saw_pins = bool(answer.pins)
            self._notice(PinsSeen(self._keys.stream_name, answer.pins))
        pinning = tuple(sorted(pin.group for pin in answer.pins))
        if pinning == self._pinning:
            return
        self._pinning = pinning
        if pinning:
            self._notice(StreamPinned(self._keys.stream_name, answer.pins, answer.pinning))
        else:
            self._notice(StreamUnpinned(self._keys.stream_name))

    # --- the group ------------------------------------------------------------------------------

    def _inboxes(self) -> list[bytes]:
        return [self._keys.inbox(event) for event in self.broker.registered(_MAX_EVENTS)]

    def _clear_inboxes(self) -> None:
        """An entry is deleted right after its ack; a connection that broke in between leaves it."""
        for key in self._inboxes():
            while self._trim(key).removed:
                if self.rest(_BREATH_S):
                    return
            self.beat()

    def _remove_names(self) -> None:
        names = self.broker.remove_idle([self._keys.stream, *self._inboxes()], self._silent_ms)
        if names:
            self._notice(NamesRemoved(tuple(names)))

    def _forget_suspects(self) -> None:
        cursor = -1
        while cursor and not self.rest(_BREATH_S):
            cursor, _ = self.broker.forget_suspects(max(cursor, 0), _PAGE)

    # --- refusals -------------------------------------------------------------------------------

    def _guarded(self, chore: str, work: Callable[[], Duty | None]) -> Duty | None:
        """Do ``work``. What Redis refuses must not look like an outage: everything else may go on."""
        try:
            result = work()
        except BrokerUnavailable:
            raise
        except GroupMissing:
            return None  # those who read will find out, and mend it
        except BrokerError as error:
            if self._refused.get(chore) != type(error).__name__:
                self._refused[chore] = type(error).__name__
                self._notice(UpkeepRefused(chore, type(error).__name__, str(error)))
            return None
        self._refused.pop(chore, None)
        return result
