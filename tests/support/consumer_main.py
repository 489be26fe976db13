"""The program of a consumer process: ``python -m tests.support.consumer_main <json>``.

See `tests.support.processes.ConsumerProcess`, which writes the JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from streamix_queue import Consumer
from streamix_queue.core import facts
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import DeadLetter, RetryLater
from tests.support import failpoints, handlers, mutants
from tests.support.fact_log import FactLog, Record

# Several a second for each member; they tell a test nothing.
_DULL = (facts.Called, facts.Polled, facts.Renewed, facts.Throttled)


class FactRecorder:
    """An observer that writes facts down; of a batch that was settled, each message."""

    def __init__(self, log: FactLog) -> None:
        self._log = log

    def notice(self, fact: facts.Fact) -> None:
        """Write it down, with what is plain in it."""
        if isinstance(fact, facts.Settled):
            self._log.write(*(_settled(attempt) for attempt in fact.attempts))
        elif not isinstance(fact, _DULL):
            self._log.write({"kind": _snake_case(type(fact).__name__), **_plain(vars(fact))})


def _settled(attempt: Attempt) -> Record:
    outcome = attempt.outcome
    record = {"kind": "settled", "outcome": outcome.name if outcome else "", **_about(attempt)}
    if isinstance(outcome, DeadLetter):
        record["reason"] = outcome.reason
    elif isinstance(outcome, RetryLater):
        record["delay_ms"] = outcome.delay_ms
    return record


def _about(attempt: Attempt) -> Record:
    return {
        "message_id": attempt.message.id if attempt.message else "",
        "event": attempt.event,
        "key": attempt.entry.key.decode(),
        "entry_id": attempt.entry.id.decode(),
        "deliveries": attempt.entry.deliveries,
        "source": attempt.entry.source,
        "lost": attempt.lease.lost,
    }


def _plain(fields: dict[str, Any]) -> Record:
    record: Record = {}
    for name, value in fields.items():
        if isinstance(value, Attempt):
            record |= _about(value)
        elif isinstance(value, (str, int, float, bool)):
            record[name] = value
    return record


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def main(plan: dict[str, Any]) -> None:
    """Run one consumer until it ends."""
    stdout = os.open(plan["stdout"], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.dup2(stdout, 1)
    os.close(stdout)
    log = FactLog(Path(plan["log"]), group=plan["group"])
    handlers.open_log(log)
    mutants.apply(os.environ.get("STREAMIX_TEST_MUTANT", ""))
    failpoints.install(plan["failpoint"])
    module, _, name = plan["handler"].partition(":")
    handler = getattr(importlib.import_module(module), name)
    consumer = Consumer(
        plan["url"], plan["stream"], plan["group"], observers=[FactRecorder(log)], **plan["options"]
    )
    for event in plan["events"]:
        consumer.on(event, handler)
    consumer.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
