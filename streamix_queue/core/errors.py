"""The exceptions of the library: what a handler may raise, and what a caller may catch.

Two kinds of error stand with the part that raises them, for they carry what it knows: of the embedded
server and of a replay. They, too, are `StreamixError`.
"""

from __future__ import annotations

from datetime import timedelta

__all__ = [
    "BacklogFull",
    "BrokerError",
    "BrokerRefused",
    "BrokerUnavailable",
    "ClusterKeyError",
    "ConfigError",
    "DrainTimeout",
    "GroupMissing",
    "HandlerTimeout",
    "InvalidMessage",
    "InvalidMessageType",
    "Malformed",
    "MessageTooLarge",
    "NotEnoughReplicas",
    "NotReplayable",
    "OutOfMemory",
    "PublishUnknown",
    "Reject",
    "RestartsExceeded",
    "Retry",
    "StreamixError",
    "WrongKeyType",
]


class StreamixError(Exception):
    """Base of every error that the library raises. Not of what a handler raises: `Retry` and `Reject`."""


# --- what a handler may raise ---------------------------------------------------------------


class Retry(Exception):  # a verb on purpose: `raise Retry(after=30)`
    """Raised by a handler: try this message again, without a traceback in the log.

    The attempt counts against ``retry_limit`` like any failure, so a message can never go
    round for ever; when the limit is reached it is dead-lettered.

    Args:
        after: Seconds (or a ``timedelta``) until the next attempt. ``0`` means at once,
            ``None`` the event's ordinary backoff.
        reason: Text kept with the attempt.
    """

    def __init__(self, after: float | timedelta | None = None, reason: str = "") -> None:
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if seconds is not None and not 0 <= seconds < 366 * 86_400:
            raise ValueError(f"Retry(after={after!r}): expected 0 to 366 days, in seconds")
        super().__init__(reason or "the handler asked for a retry")
        self.after = seconds

    def __reduce__(self) -> tuple[type[Retry], tuple[float | None, str]]:
        # By itself an exception is made anew from its text alone. A handler may let other
        # processes do the work, and one that they cannot send back breaks their pool.
        return type(self), (self.after, str(self))


class Reject(Exception):  # a verb on purpose: `raise Reject("no such user")`
    """Raised by a handler: retrying cannot help, dead-letter the message at once.

    Args:
        reason: Text kept as the dead letter's ``error``.
    """

    def __init__(self, reason: str = "rejected by the handler") -> None:
        super().__init__(reason)


# --- what a caller gets for bad input ---------------------------------------------------------


class ConfigError(StreamixError, ValueError):
    """An option is out of range; the text names the option, the value and what is accepted."""


class ClusterKeyError(ConfigError):
    """On a Redis Cluster a stream needs a hash tag, so that its side keys share one slot."""


class InvalidMessage(StreamixError, ValueError):
    """The event or its data cannot be sent; the text names the path. Nothing was written."""


class InvalidMessageType(StreamixError, TypeError):
    """As `InvalidMessage`, for a value of the wrong type. Nothing was written."""


class MessageTooLarge(InvalidMessage):
    """The encoded message exceeds ``max_message_bytes``. Nothing was written."""


class Malformed(StreamixError):
    """An entry on the stream is not a message in the 0.1.0 envelope."""


class NotReplayable(StreamixError):
    """A dead letter cannot be made a message again; the text says why. Nothing was written."""


# --- what the broker answers -------------------------------------------------------------------


class BrokerError(StreamixError):
    """Redis refused or could not be reached; the text never holds a secret.

    Attributes:
        code: What Redis calls it, such as ``"OOM"`` or ``"BUSYGROUP"``; ``"NOKEY"`` for its ``ERR no
            such key``, which has no code of its own; ``"ERR"`` for what nobody has to tell apart. ``""`` if
            Redis did not answer.
        written: After ``publish_many()``: the indexes of the events that surely are on the stream.
    """

    code: str = ""
    written: tuple[int, ...] = ()


class BrokerUnavailable(BrokerError):
    """Not reachable or not ready for now (refused, reset, timed out, loading, read-only, busy).

    Waiting can mend it.

    Attributes:
        nothing_done: True if the command was surely not carried out: it was never sent, or Redis
            answered that it would not. False if the reply was lost, and that is unknown.
    """

    nothing_done = False


class BrokerRefused(BrokerError):
    """Wrong password, missing ACL right, wrong database: waiting will not mend it."""


class GroupMissing(BrokerError):
    """The stream or the consumer group is gone and has to be created again."""

    code = "NOGROUP"


class WrongKeyType(BrokerError):
    """A key of ours holds another type. Nothing was written; an operator has to look."""

    code = "WRONGTYPE"


class OutOfMemory(BrokerError):
    """Redis reached ``maxmemory``. Nothing was written; acks and reads still work."""

    code = "OOM"


class NotEnoughReplicas(BrokerUnavailable):
    """``min-replicas-to-write`` is not met. Nothing was written."""

    code = "NOREPLICAS"
    nothing_done = True


class PublishUnknown(BrokerUnavailable):
    """The reply to a publish was lost and could not be had again: it may be in or out.

    Attributes:
        message_id: The id of the message. Publishing again with other code means a new id.
    """

    def __init__(self, text: str, message_id: str) -> None:
        super().__init__(text)
        self.message_id = message_id

    def __reduce__(self) -> tuple[type[PublishUnknown], tuple[str, str], dict[str, object]]:
        return type(self), (str(self), self.message_id), {"written": self.written}


class BacklogFull(StreamixError):
    """The slowest group is ``max_backlog`` messages behind. The message was not written.

    Attributes:
        group: That group; ``""`` if the stream has none.
        backlog: How many messages it has to handle yet, or at least.
        written: After ``publish_many()``: the indexes of the events that are on the stream.
    """

    written: tuple[int, ...] = ()

    def __init__(self, text: str, group: str, backlog: int) -> None:
        super().__init__(text)
        self.group = group
        self.backlog = backlog

    def __reduce__(self) -> tuple[type[BacklogFull], tuple[str, str, int], dict[str, object]]:
        return type(self), (str(self), self.group, self.backlog), {"written": self.written}


# --- how an attempt or a consumer ends ------------------------------------------------------------


class HandlerTimeout(StreamixError, TimeoutError):
    """A handler ran longer than its ``timeout_ms``. Never raised to a caller: why an attempt failed."""


class RestartsExceeded(StreamixError):
    """An actor kept crashing, so that restarting it did not help. Its cause is the last error."""


class DrainTimeout(StreamixError):
    """Handlers were still running when ``drain_timeout_ms`` was over, or Redis could not be told.

    Their messages stay leased until the lease lapses; another member then runs them again.
    """
