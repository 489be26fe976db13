"""One connection to Redis: commands out, replies in, errors classified. No retry of its own.

redis-py's client would re-send a write whose reply was lost (one publish, two entries) and
break a blocking read by its 5 s socket timeout (redis-py 8 defaults), so this uses its
connections and leaves its client, its pool and its retries aside.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry

from streamix_queue.broker.errors import classify
from streamix_queue.core.errors import BrokerError, BrokerUnavailable, ConfigError
from streamix_queue.core.redact import redact_url

__all__ = ["Link", "Script", "load_script"]

Argument = bytes | str | int
Call = tuple[Argument, ...]
_BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError)
_CONNECT_TIMEOUT_S = 5.0


class Script:
    """A Lua script and its digest; static text, shipped in the wheel."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        # Redis names scripts by SHA-1; nothing rests on its strength.
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest().encode()


def load_script(name: str) -> Script:
    """The script ``scripts/<name>.lua`` with the common prelude in front of it."""
    folder = resources.files("streamix_queue.broker").joinpath("scripts")
    prelude = folder.joinpath("_lease.lua").read_text("utf-8")
    return Script(prelude + folder.joinpath(f"{name}.lua").read_text("utf-8"))


def _options(url: str, timeout_s: float) -> dict[str, Any]:
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError as error:
        # urllib's texts quote what it took for the port or the host: it may be of the password.
        told = str(error).startswith(("Redis URL", "Invalid value"))
        reason = str(error) if told else "no such URL; special characters of a password are percent-encoded"
        raise ConfigError(f"redis_url={redact_url(url)!r}: {reason}") from None
    # After the URL's own options, for decode_responses or a short socket_timeout in it would
    # break the reader.
    options.update(
        protocol=2,
        decode_responses=False,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(timeout_s, _CONNECT_TIMEOUT_S),
        socket_keepalive=True,
        health_check_interval=0,
    )
    if "path" in options:  # a unix socket knows no keepalive
        options.pop("socket_keepalive")
        options.pop("socket_connect_timeout")
    return options


class Link:
    """One connection, opened at first use and again after every break.

    Not thread-safe: owned by one thread at a time. `abort` may be called from any.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.where = redact_url(url)
        # The pool only makes connections of the right class; it never holds one.
        self._factory = ConnectionPool(**_options(url, timeout_s))
        self._connection: Any = None
        self.opened = 0
        """How often a connection was opened: tells a new one from the one before."""

    @property
    def connected(self) -> bool:
        """True while there is a connection (that the server may have closed meanwhile)."""
        return self._connection is not None

    def connect(self) -> Any:
        """The connection, opened if need be. Raises `BrokerUnavailable` or `BrokerRefused`."""
        if self._connection is None:
            connection: Any = self._factory.make_connection()
            try:
                connection.connect()
            except (*_BROKEN, redis.RedisError) as error:
                connection.disconnect()
                raise _nothing_done(classify(error, self.where)) from None
            self._connection = connection
            self.opened += 1
        return self._connection

    def call(self, *command: Argument) -> Any:
        """Send one command and return its raw reply (bytes, ints, lists)."""
        connection = self.connect()
        try:
            connection.send_command(*command)
            return connection.read_response()
        except redis.ResponseError as error:
            raise self._refused(error) from None
        except _BROKEN as error:
            self.close()
            raise classify(error, self.where) from None
        except BaseException:
            # Between request and reply: whoever used this connection next would read our reply.
            self.close()
            raise

    def calls(self, commands: Sequence[Call]) -> list[Any]:
        """Send commands together; each reply, or the error that Redis gave for that command.

        Raises:
            BrokerUnavailable: the connection broke; what was carried out is unknown.
        """
        return self.send_packed(self.connect().pack_commands(commands), len(commands))

    def send_packed(self, packed: Any, replies: int) -> list[Any]:
        """As `calls`, for commands that are packed already."""
        connection = self.connect()
        answers: list[Any] = []
        try:
            connection.send_packed_command(packed)
            for _ in range(replies):
                try:
                    answers.append(connection.read_response())
                except redis.ResponseError as error:
                    answers.append(_nothing_done(classify(error, self.where)))
        except _BROKEN as error:
            self.close()
            raise classify(error, self.where) from None
        except BaseException:
            self.close()
            raise
        if any(isinstance(answer, BrokerUnavailable) for answer in answers):
            self._drop_if_unfit(answers)
        return answers

    def script(self, script: Script, keys: Sequence[bytes], *args: Argument) -> Any:
        """Run a script, loading it if the server does not know it (any more)."""
        try:
            return self.call("EVALSHA", script.digest, len(keys), *keys, *args)
        except BrokerError as error:
            if "NOSCRIPT" not in str(error) and "No matching script" not in str(error):
                raise
        return self.call("EVAL", script.text, len(keys), *keys, *args)

    def _refused(self, error: redis.ResponseError) -> BrokerError:
        kind = _nothing_done(classify(error, self.where))
        self._drop_if_unfit([kind])
        return kind

    def _drop_if_unfit(self, answers: Sequence[object]) -> None:
        # A demoted primary keeps answering READONLY: only a new connection can find another.
        text = " ".join(str(answer) for answer in answers if isinstance(answer, BrokerError))
        if any(code in text for code in ("READONLY", "UNBLOCKED", "MASTERDOWN", "replica")):
            self.close()

    def abort(self) -> None:
        """Break the connection under a call that does not return. Any thread."""
        connection = self._connection
        sock = getattr(connection, "_sock", None)
        if sock is not None:
            # shutdown() wakes a blocked reader; close() from another thread would not.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def _nothing_done(error: BrokerError) -> BrokerError:
    """Mark an error that tells for sure that the command was not carried out."""
    if isinstance(error, BrokerUnavailable):
        error.nothing_done = True
    return error
