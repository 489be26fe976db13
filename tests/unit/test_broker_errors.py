"""Every error that a server or the client gives, and what it amounts to.

The replies are as four servers sent them (Redis 6.2, 7.0, 8.2, Valkey 9.1); redis-py makes its
exception of them here as it does on a connection, for it strips the codes that it has a class for.
"""

from __future__ import annotations

import ast
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis._parsers.base import BaseParser

from streamix_queue.broker.redis.errors import classify
from streamix_queue.core.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    GroupMissing,
    NotEnoughReplicas,
    OutOfMemory,
    PublishUnknown,
    WrongKeyType,
)

WHERE = "redis://redis.internal:6379/0"
SHA = "e81023deb3af3d1fd09b14ca33098d3a6f82f668"


def raised_for(reply: str) -> Exception:
    parse: Callable[[str], Exception] = BaseParser.parse_error
    return parse(reply)


def in_script(reply: str) -> list[str]:
    """The reply when a command of a script got it, on 6.2, 7.0 and later, and Valkey."""
    wrapped = f"ERR Error running script (call to f_{SHA}): @user_script:30: "
    return [
        f"{wrapped}@user_script: 30: -{reply}",  # 6.2, from redis.call
        f"{wrapped}{reply}",  # 6.2, an error that the script raised again
        f"{reply} script: {SHA}, on @user_script:30.",
        f"{reply} script: on @user_script:30.",
    ]


NOGROUP = "NOGROUP No such key 's' or consumer group 'g'"
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
OOM = "OOM command not allowed when used memory > 'maxmemory'."
NOREPLICAS = "NOREPLICAS Not enough good replicas to write."
READONLY = "READONLY You can't write against a read only replica."
MISCONF = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report "
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option)."
)
MAY_NOT_RUN = "The user executing the script can't run this command or subcommand"
MAY_NOT_ACCESS = (
    "The user executing the script can't access at least one of the keys mentioned in the command arguments"
)
MASTERDOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."

REPLIES: list[tuple[type[BrokerError], list[str]]] = [
    (
        GroupMissing,
        [
            NOGROUP,
            f"{NOGROUP} in XREADGROUP with GROUP option",
            "NOGROUP the consumer group this client was blocked on no longer exists",
            "UNBLOCKED the stream key no longer exists",
            *in_script(NOGROUP),
        ],
    ),
    (WrongKeyType, [WRONGTYPE, *in_script(WRONGTYPE)]),
    (OutOfMemory, [OOM, *in_script(OOM)]),
    (NotEnoughReplicas, [NOREPLICAS, *in_script(NOREPLICAS)]),
    (
        BrokerUnavailable,
        [
            READONLY,
            *in_script(READONLY),
            MISCONF,
            *in_script(MISCONF),
            MASTERDOWN,
            *in_script(MASTERDOWN),
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            "CLUSTERDOWN The cluster is down",
            "CLUSTERDOWN Hash slot not served",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "NOSCRIPT No matching script. Please use EVAL.",
            "NOSCRIPT No matching script.",
            "ERR max number of clients reached",
        ],
    ),
    (
        BrokerRefused,
        [
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "ERR invalid password",
            "ERR Client sent AUTH, but no password is set",
            "NOPERM this user has no permissions to run the 'xadd' command or its subcommand",
            "NOPERM User u has no permissions to run the 'xadd' command",
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            "NOPERM No permissions to access a key",
            f"ERR Error running script (call to f_{SHA}): @user_script:1: @user_script: 1: {MAY_NOT_RUN}",
            f"ERR Error running script (call to f_{SHA}): @user_script:1: @user_script: 1: {MAY_NOT_ACCESS}",
            f"ERR {MAY_NOT_RUN} script: {SHA}, on @user_script:1.",
            f"ERR {MAY_NOT_ACCESS} script: {SHA}, on @user_script:1.",
            "ERR ACL failure in script: User u has no permissions to run the 'xadd' command script: on x.",
            "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.",
            "CROSSSLOT Keys in request don't hash to the same slot",
            "BUSYGROUP Consumer Group name already exists",
            "BUSYKEY Target key name already exists.",
            "ERR unknown command 'XAUTOCLAIM', with args beginning with: 's' 'g'",
            "ERR DB index is out of range",
            "ERR value is not an integer or out of range",
            "ERR Invalid stream ID specified as stream command argument",
        ],
    ),
]
ROWS = [(kind, reply) for kind, replies in REPLIES for reply in replies]


@pytest.mark.parametrize(
    ("kind", "reply"), ROWS, ids=[f"{kind.__name__}-{reply[:90]}" for kind, reply in ROWS]
)
def test_a_reply_amounts_to(kind: type[BrokerError], reply: str) -> None:
    error = classify(raised_for(reply), WHERE)

    assert type(error) is kind
    assert str(error).startswith(f"{WHERE}: ")


OWN_CODES = ["NOGROUP", "WRONGTYPE", "OOM", "NOREPLICAS", "READONLY", "MISCONF", "MASTERDOWN", "CLUSTERDOWN"]
OWN_CODES += ["TRYAGAIN", "NOSCRIPT", "BUSY", "BUSYGROUP", "LOADING", "UNBLOCKED", "NOPERM", "CROSSSLOT"]
CODES = {
    **{code: [f"{code} as Redis says it", *in_script(f"{code} as Redis says it")] for code in OWN_CODES},
    "NOAUTH": [
        "NOAUTH Authentication required.",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "ERR invalid password",
    ],
    "NOKEY": ["ERR no such key"],
    "ERR": [
        "ERR DB index is out of range",
        "ERR unknown command 'XAUTOCLAIM', with args beginning with: 's' 'g'",
        "BUSYKEY Target key name already exists.",
    ],
}


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        *((code, reply) for code, replies in CODES.items() for reply in replies),
        *(("NOGROUP", reply) for kind, reply in ROWS if kind is GroupMissing),
        *(("NOPERM", reply) for _, reply in ROWS if "permissions" in reply or MAY_NOT_RUN in reply),
    ],
)
def test_an_error_says_what_redis_calls_it(code: str, reply: str) -> None:
    """Whatever wraps the code, and whether redis-py takes it away: nobody else reads the text."""
    assert classify(raised_for(reply), WHERE).code == code


def test_without_an_answer_there_is_no_code() -> None:
    assert classify(ConnectionResetError(104, "Connection reset by peer"), WHERE).code == ""


def test_the_name_of_the_server_is_no_part_of_what_it_said() -> None:
    for name in ("READONLY", "NOSCRIPT", "BUSYGROUP", "no such key"):
        assert classify(raised_for("ERR value is not an integer"), f"unix:///run/{name}.sock").code == "ERR"


def readers_of_texts(tree: ast.AST) -> list[int]:
    """Lines of ``… in str(error)``, ``str(error).startswith(…)`` and their like."""

    def is_text(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr")
        )

    looks = {"count", "endswith", "find", "index", "lower", "partition", "split", "startswith", "upper"}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Compare) and any(map(is_text, [node.left, *node.comparators])))
        or (isinstance(node, ast.Attribute) and node.attr in looks and is_text(node.value))
    ]


def test_nobody_else_looks_into_the_text_of_an_error() -> None:
    """It begins with the name of the server, and goes on with those of keys and groups."""
    library = Path(classify.__code__.co_filename).parents[2]
    found = {
        path.relative_to(library).as_posix(): lines
        for path in library.rglob("*.py")
        if (lines := readers_of_texts(ast.parse(path.read_text("utf-8"))))
    }

    assert list(found) == ["broker/redis/errors.py"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (redis.ConnectionError("Error 111 connecting to h:6379. Connection refused."), "Connection refused"),
        (redis.ConnectionError("Connection closed by server."), "closed by server"),
        (redis.TimeoutError("Timeout reading from socket"), "Timeout reading"),
        (redis.exceptions.InvalidResponse("Protocol Error: b'x'"), "Protocol Error"),
        (ConnectionResetError(104, "Connection reset by peer"), "reset by peer"),
        (BrokenPipeError(32, "Broken pipe"), "Broken pipe"),
        (socket.gaierror(-2, "Name or service not known"), "not known"),
        (TimeoutError(), "TimeoutError"),
        (OSError(), "OSError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_connection_is_waited_out(error: Exception, text: str) -> None:
    answer = classify(error, WHERE)

    assert type(answer) is BrokerUnavailable
    assert str(answer).startswith(f"{WHERE}: ")
    assert text in str(answer), "never an empty text"


@pytest.mark.parametrize("error", [GroupMissing("x"), PublishUnknown("x", "id"), OutOfMemory("x")], ids=repr)
def test_an_error_of_ours_is_left_as_it_is(error: BrokerError) -> None:
    assert classify(error, WHERE) is error


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (WRONGTYPE, "TYPE"),
        (OOM, "maxmemory"),
        (NOREPLICAS, "min-replicas-to-write"),
        (READONLY, "primary"),
        (MISCONF, "server's log"),
        ("ERR max number of clients reached", "maxclients"),
        ("LOADING Redis is loading the dataset in memory", "wait"),
        ("BUSY Redis is busy running a script.", "SCRIPT KILL"),
        ("NOAUTH Authentication required.", "password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "password"),
        ("NOPERM No permissions to access a key", "ACL"),
        (
            "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.",
            "ACL SETUSER",
        ),
        ("CROSSSLOT Keys in request don't hash to the same slot", "{app.events}"),
    ],
)
def test_what_an_operator_can_mend_comes_with_advice(reply: str, advice: str) -> None:
    assert advice in str(classify(raised_for(reply), WHERE))


@pytest.mark.parametrize(
    "name", ["NOSCRIPT", "OOM", "READONLY", "WRONGTYPE", "LOADING", "BUSY", "UNBLOCKED", "NOAUTH", "MISCONF"]
)
def test_a_key_that_is_called_like_a_code_misleads_nobody(name: str) -> None:
    assert (
        type(classify(raised_for(f"NOGROUP No such key '{name}' or consumer group 'g'"), WHERE))
        is GroupMissing
    )


def test_a_long_text_is_bounded() -> None:
    assert len(str(classify(redis.ResponseError("x" * 100_000), WHERE))) < 400
