"""Redis' and redis-py's errors → the library's few kinds, by what can be done about them."""

from __future__ import annotations

import re

import redis

from streamix_queue.core import errors

__all__ = ["classify", "is_unknown_script"]

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
    ("CROSSSLOT", errors.BrokerRefused, "put a hash tag into the stream's name: {app.events}"),
)
_GROUP_GONE = ("stream key no longer exists", "consumer group this client was blocked on no longer exists")
_DENIED = re.compile(r"can't run this command|ACL failure in script|no permissions")


def classify(error: BaseException, where: str) -> errors.BrokerError:
    """The library's error for what redis-py raised.

    Args:
        error: From redis-py or the socket.
        where: The server, without secrets, for the text.
    """
    text = str(error)[:300]
    if isinstance(error, errors.BrokerError):
        return error
    if any(phrase in text for phrase in _GROUP_GONE):
        return errors.GroupMissing(f"{where}: {text}")
    if isinstance(error, (redis.AuthenticationError, redis.exceptions.NoPermissionError)):
        return errors.BrokerRefused(f"{where}: {text}: check user, password and ACL of the URL")
    # redis-py strips the code of the errors it has a class for.
    named = {
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
    }.get(type(error).__name__, "")
    for code, kind, advice in _CODES:
        if named == code or re.search(rf"(?<![A-Z]){code}(?![A-Z])", text):
            return kind(f"{where}: {text}" + (f" ({advice})" if advice else ""))
    if _DENIED.search(text):
        return errors.BrokerRefused(f"{where}: {text} (grant the command to this user: ACL SETUSER)")
    if "max number of clients" in text:
        return errors.BrokerUnavailable(f"{where}: {text} (raise maxclients)")
    if isinstance(error, redis.ResponseError):
        return errors.BrokerRefused(f"{where}: {text}")
    return errors.BrokerUnavailable(f"{where}: {text or type(error).__name__}")


def is_unknown_script(reply: object) -> bool:
    """True for the answer of a server that was restarted or flushed: send the script's text."""
    return isinstance(reply, errors.BrokerError) and (
        "NOSCRIPT" in str(reply) or "No matching script" in str(reply)
    )
