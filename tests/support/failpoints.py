"""Places in the library where a test can have its process killed, chosen by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from streamix_queue.broker.protocol import Answer
from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.commands import Command

__all__ = ["install"]

_COMMANDS: dict[str, type[Command]] = {
    "ack": commands.Ack,
    "retry": commands.RetryLater,
    "dead_letter": commands.DeadLetter,
    "hand_over": commands.HandOver,
    "hand_back": commands.HandBack,
}


def install(name: str | None) -> None:
    """Kill this process with SIGKILL at the first ``before_<what>`` or ``after_<what>``.

    ``<what>`` is a key of `_COMMANDS`: before it is sent to Redis, or after Redis has carried it
    out and before anybody here knows.
    """
    if name is None:
        return
    when, _, what = name.partition("_")
    kind = _COMMANDS[what]
    settle = RedisConsumerBroker.settle

    def settle_or_die(self: RedisConsumerBroker, commands: Sequence[Command]) -> list[Answer]:
        there = any(isinstance(command, kind) for command in commands)
        if there and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answers = settle(self, commands)
        if there and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answers

    RedisConsumerBroker.settle = settle_or_die  # type: ignore[method-assign]
