"""Redis' and redis-py's errors → the library's few kinds, by what can be done about them.

The one place that looks into the text of an error. Whoever has to decide by more than its kind asks
for `BrokerError.code`, which is set here.
"""

from __future__ import annotations

import re

import redis

from streamix_queue.core import errors

__all__ = ["classify", "unreadable_url"]

# Inside a script's error the code stands anywhere in the text: "ERR Error running script …: -OOM …".
_CODES: tuple[tuple[str, type[errors.BrokerError], str], ...] = (
    ("NOGROUP", errors.GroupMissing, ""),  # first: the only one whose text goes on with names of the user's
    ("NOSCRIPT", errors.BrokerUnavailable, ""),
    ("WRONGTYPE", errors.WrongKeyType, "look at the key with `TYPE` and move or delete it"),
    ("OOM", errors.OutOfMemory, "raise maxmemory, or trim streams that nobody needs"),
    ("NOREPLICAS", errors.NotEnoughReplicas, "bring the replicas back, or lower min-replicas-to-write"),
    ("READONLY", errors.BrokerUnavailable, "this is a replica: point the URL at the primary"),
    ("LOADING", errors.BrokerUnavailable, "Redis is loading its data: wait"),
    ("MASTERDOWN", errors.BrokerUnavailable, ""),
    ("CLUSTERDOWN", errors.BrokerUnavailable, ""),
    ("TRYAGAIN", errors.BrokerUnavailable, ""),
    ("MOVED", errors.BrokerUnavailable, "the cluster moves this slot"),
    ("ASK", errors.BrokerUnavailable, "the cluster moves this slot"),
    ("BUSY", errors.BrokerUnavailable, "a script blocks the server: see SCRIPT KILL"),
    ("MISCONF", errors.BrokerUnavailable, "Redis cannot write to its disk: see the server's log"),
    ("UNBLOCKED", errors.BrokerUnavailable, ""),
    ("NOPERM", errors.BrokerRefused, "grant the command and the key to this user (ACL SETUSER)"),
    ("NOAUTH", errors.BrokerRefused, "put user and password into the URL"),
    ("WRONGPASS", errors.BrokerRefused, "check user and password in the URL"),
    ("BUSYGROUP", errors.BrokerRefused, ""),
    ("CROSSSLOT", errors.BrokerRefused, "put a hash tag into the stream's name: {app.events}"),
)
# redis-py strips the code of the errors it has a class for.
_STRIPPED = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "NoScriptError": "NOSCRIPT",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "MovedError": "MOVED",
    "AskError": "ASK",
}
_GROUP_GONE = ("stream key no longer exists", "consumer group this client was blocked on no longer exists")
_DENIED = re.compile(r"can't run this command|ACL failure in script|no permissions")
_NO_KEY = re.compile(r"(ERR )?no such key")


def classify(error: BaseException, where: str) -> errors.BrokerError:
    """The library's error for what redis-py raised, with its `code`.

    Args:
        error: From redis-py or the socket.
        where: The server, without secrets, for the text.
    """
    if isinstance(error, errors.BrokerError):
        return error
    text = str(error)[:300]
    kind, code, advice = _judge(error, text)
    ours = kind(f"{where}: {text or type(error).__name__}{advice}")
    ours.code = code
    return ours


def _judge(error: BaseException, text: str) -> tuple[type[errors.BrokerError], str, str]:
    """(kind, code, what to do about it)."""
    if any(phrase in text for phrase in _GROUP_GONE):
        return errors.GroupMissing, "NOGROUP", ""
    if isinstance(error, (redis.AuthenticationError, redis.exceptions.NoPermissionError)):
        # redis-py has one class for NOAUTH, WRONGPASS and the like.
        code = "NOPERM" if isinstance(error, redis.exceptions.NoPermissionError) else "NOAUTH"
        return errors.BrokerRefused, code, ": check user, password and ACL of the URL"
    stripped = _STRIPPED.get(type(error).__name__)
    for code, kind, advice in _CODES:
        if stripped == code or re.search(rf"(?<![A-Z]){code}(?![A-Z])", text):
            return kind, code, f" ({advice})" if advice else ""
    if _DENIED.search(text):
        return errors.BrokerRefused, "NOPERM", " (grant the command to this user: ACL SETUSER)"
    if "max number of clients" in text:
        return errors.BrokerUnavailable, "ERR", " (raise maxclients)"
    if not isinstance(error, redis.ResponseError):
        return errors.BrokerUnavailable, "", ""
    return errors.BrokerRefused, "NOKEY" if _NO_KEY.match(text) else "ERR", ""


def unreadable_url(error: ValueError, where: str) -> errors.ConfigError:
    """What to raise for a URL that redis-py cannot read.

    Args:
        error: From redis-py, or from urllib: its texts quote what it took for the port or the
            host, which may be a part of the password, so they are not passed on.
        where: The URL, without secrets.
    """
    told = str(error).startswith(("Redis URL", "Invalid value"))
    reason = str(error) if told else "no such URL; special characters of a password are percent-encoded"
    return errors.ConfigError(f"redis_url={where!r}: {reason}")
