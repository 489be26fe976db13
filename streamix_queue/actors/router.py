"""From an entry to its mailbox: decode once, find the handler, or settle it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamix_queue.actors.worker import Letters
from streamix_queue.core.delivery import Delivery, Failure
from streamix_queue.core.errors import Malformed
from streamix_queue.core.outcome import HAND_BACK, HAND_OVER, PARK, DeadLetter, Outcome, Reason
from streamix_queue.core.registration import Registration
from streamix_queue.core.wire import decode, envelope_of
from streamix_queue.held.dispatch import Dispatch
from streamix_queue.held.table import LeaseTable

__all__ = ["Router"]


class Router:
    """Runs on the threads of fetcher and reclaimer; holds no state of its own."""

    def __init__(
        self,
        registrations: Mapping[str, Registration],
        dispatch: Dispatch,
        leases: LeaseTable,
        settler: Letters,
    ) -> None:
        self._registrations = registrations
        self._dispatch = dispatch
        self._leases = leases
        self._settler = settler

    def route(self, deliveries: Sequence[Delivery]) -> None:
        """Hold these, then send each where it belongs.

        Held first: from then on they are renewed, and whatever becomes of them gives the
        credit back.
        """
        runnable: list[Delivery] = []
        settled: list[Delivery] = []
        for delivery in self._leases.add(deliveries):
            outcome = self.open(delivery)
            if outcome is None:
                runnable.append(delivery)
            else:
                delivery.outcome = outcome
                settled.append(delivery)
        for delivery in self._dispatch.put(runnable):
            delivery.outcome = HAND_BACK if self._dispatch.closed else PARK
            settled.append(delivery)
        if settled:
            self._settler.put(settled)

    def open(self, delivery: Delivery) -> Outcome | None:
        """Decode it and find its handler; an outcome if it is not to be run here."""
        raw, delivery.extras, delivery.history = envelope_of(delivery.fields)
        if raw is None:
            delivery.failure = Failure("Malformed", "the entry has no field 'message'")
            return DeadLetter(Reason.MALFORMED)
        delivery.raw = raw
        try:
            message = decode(raw, held=True)
        except Malformed as error:
            delivery.failure = Failure("Malformed", str(error))
            return DeadLetter(Reason.MALFORMED)
        delivery.message = message
        delivery.fields = ()  # each of them is elsewhere now
        delivery.registration = self._registrations.get(message.event)
        return HAND_OVER if delivery.registration is None else None

    def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """Settle a delivery that is not to be run."""
        delivery.outcome = outcome
        self._settler.put([delivery])

    def release(self, deliveries: list[Delivery]) -> None:
        """Hand back what was never started."""
        for delivery in deliveries:
            delivery.outcome = HAND_BACK
        if deliveries:
            self._settler.put(deliveries)

    def park(self, deliveries: list[Delivery]) -> None:
        """Back to the inbox of their event, to make room for other events."""
        for delivery in deliveries:
            delivery.outcome = PARK
        if deliveries:
            self._settler.put(deliveries)
