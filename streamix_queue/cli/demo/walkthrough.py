"""What `streamix demo` does and prints: each line is something that happened, with its real numbers."""

from __future__ import annotations

import queue
import time

from streamix_queue import Publisher
from streamix_queue.__about__ import __version__
from streamix_queue.admin import Admin
from streamix_queue.cli.demo.shop import EVENT, STREAM, Billing, Mailer
from streamix_queue.cli.shared.output import say
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import Ack, RetryLater
from streamix_queue.embedded import EmbeddedServer

__all__ = ["Walkthrough"]

_ORDERS = 8
_TROUBLE = {2: 1, 5: 2, 7: 99}  # order → how often charging it fails
_PATIENCE_S = 30.0  # an idle machine needs three
_EARLY_S = 0.02  # the due time is the server's, in whole milliseconds; ours is another clock


class Walkthrough:
    """One run of the demo. Printed by the main thread, in the order of Redis' answers."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._began = time.perf_counter()
        self._billing = Billing(server.url, dict(_TROUBLE))
        self._mailer = Mailer(server.url)
        self._orders: dict[str, int] = {}  # message id → number of the order
        self._failed_at: dict[str, tuple[float, int]] = {}  # message id → when (s), and the wait (ms)
        self._attempts: dict[str, list[str]] = {}  # message id → the outcome of each attempt
        self._problems: list[str] = []

    def run(self) -> list[str]:
        """Run it; returns what does not add up."""
        binary = self._server.binary
        server = f"{binary.kind.capitalize()} {binary.version}"
        say(f"Streamix Queue {__version__}, on a {server} of its own", "bold")
        self._publish()
        with self._billing.consumer, self._mailer.consumer, Admin(self._server.url, STREAM) as admin:
            self._line(
                "", "two services start: billing charges with 4 threads, mailer gets every order as well"
            )
            self._follow(endings=_ORDERS)
            self._replay(admin)
            self._follow(endings=1)
            self._wait_for_mailer()
            left = admin.count_dead_letters()
        self._check(left)
        self._sum_up(left)
        return self._problems

    # --- what happens ---------------------------------------------------------------------------

    def _publish(self) -> None:
        with Publisher(self._server.url, STREAM) as publisher:
            for order in range(1, _ORDERS + 1):
                message = publisher.publish(EVENT, {"order": order, "amount": 10 * order})
                self._orders[message.id] = order
                self._attempts[message.id] = []
        self._line("shop", f"published {EVENT} × {_ORDERS} to {STREAM}, before any consumer was there")

    def _follow(self, *, endings: int) -> None:
        """Print the attempts, until so many messages were handled or dead-lettered."""
        deadline = time.monotonic() + _PATIENCE_S
        while endings:
            try:
                attempt = self._billing.settled.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._problems.append(f"{endings} messages had no end after {_PATIENCE_S:g} s")
                return
            self._print_attempt(attempt)
            endings -= not isinstance(attempt.outcome, RetryLater)

    def _print_attempt(self, attempt: Attempt) -> None:
        message, outcome = attempt.message, attempt.outcome
        if message is None or outcome is None or message.id not in self._orders:
            self._problems.append(f"billing got something that nobody published: {attempt!r}")
            return
        self._attempts[message.id].append(outcome.name)
        what = f"order {self._orders[message.id]}  {message.id[:8]}  attempt {attempt.number}  "
        what += self._waited(message.id, attempt.started_at)
        if isinstance(outcome, Ack):
            took = (attempt.finished_at - attempt.started_at) * 1000
            self._line("billing", f"{what}charged in {took:.0f} ms", "green")
            return
        what += f"failed: {attempt.failure.error if attempt.failure else ''}"
        if isinstance(outcome, RetryLater):
            self._failed_at[message.id] = (attempt.finished_at, outcome.delay_ms)
            self._line("billing", f"{what}; again in {outcome.delay_ms} ms", "yellow")
        else:
            self._line("billing", f"{what}; dead-lettered", "red")

    def _waited(self, message_id: str, started_at: float) -> str:
        failed_at, delay_ms = self._failed_at.pop(message_id, (0.0, 0))
        if not failed_at:
            return ""
        waited = started_at - failed_at
        if waited < delay_ms / 1000 - _EARLY_S:
            self._problems.append(f"a retry came after {waited:.3f} s, not after {delay_ms} ms")
        return f"after {waited * 1000:.0f} ms  "

    def _replay(self, admin: Admin) -> None:
        for letter in admin.dead_letters():
            order = self._orders.get(letter.message_id)
            self._line(
                "operator",
                f"dead letter {letter.id}: order {order} in group {letter.group}, {letter.reason} "
                f"after {len(letter.attempts)} attempts",
            )
            self._billing.repair()
            report = admin.replay([letter.id])
            self._line(
                "operator",
                f"card network mended; streamix dlq replay {letter.id}: {len(report.replayed)} replayed",
            )

    def _wait_for_mailer(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while len(self._mailer.seen) < _ORDERS and time.monotonic() < deadline:
            time.sleep(0.01)

    # --- whether it adds up -----------------------------------------------------------------------

    def _check(self, left: int) -> None:
        published, charged, mailed = (
            sorted(self._orders),
            sorted(self._billing.charged),
            sorted(self._mailer.seen),
        )
        expected = sum(min(fails, 4) for fails in _TROUBLE.values()) + _ORDERS
        attempts = sum(map(len, self._attempts.values()))
        for holds, problem in (
            (charged == published, f"{len(charged)} charges of {_ORDERS} orders"),
            (mailed == published, f"mailer got {len(mailed)} messages, not each of {_ORDERS} once"),
            (left == 0, f"{left} dead letters are left"),
            (sum(self._by_history()) == _ORDERS, "not every order ended as charged"),
            (attempts == expected, f"{attempts} attempts, not {expected}"),
            (self._billing.at_once > 1, "handlers never ran at the same time"),
        ):
            if not holds:
                self._problems.append(problem)

    def _sum_up(self, left: int) -> None:
        retries = sum(history.count("retry") for history in self._attempts.values())
        first, later, replayed = self._by_history()
        ways = f"{first} at the first attempt + {later} after retries + {replayed} after a replay"
        say("")
        say(f"  {_ORDERS} orders charged = {ways}")
        say(f"  {retries} retries, none before its time; up to {self._billing.at_once} handlers ran at once")
        say(f"  {len(self._billing.charged)} charges in billing, {left} dead letters left")
        say(f"  {len(self._mailer.seen)} messages in mailer: it saw no retry and no replay of billing's")
        say("It adds up." if not self._problems else "It does not add up.", "bold")

    def _by_history(self) -> tuple[int, int, int]:
        """How many orders were charged at the first attempt, after retries, after a replay."""
        charged = [history for history in self._attempts.values() if history[-1:] == ["ack"]]
        first = sum(history == ["ack"] for history in charged)
        replayed = sum("dead_letter" in history for history in charged)
        return first, len(charged) - first - replayed, replayed

    def _line(self, who: str, what: str, style: str = "") -> None:
        say(f"{time.perf_counter() - self._began:5.2f} s  {who:<8}  {what}", style)
