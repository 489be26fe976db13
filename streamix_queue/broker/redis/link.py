"""One connection to Redis: commands out, replies in, errors classified. No retry of its own.

redis-py's client would re-send a write whose reply was lost (one publish, two entries) and
break a blocking read by its 5 s socket timeout (redis-py 8 defaults), so this uses its
connections and leaves its client, its pool and its retries aside.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from typing import Any

import redis
from redis.exceptions import MovedError

from streamix_queue.broker.redis.endpoint import Endpoint
from streamix_queue.broker.redis.errors import classify
from streamix_queue.core.errors import BrokerError, BrokerUnavailable

__all__ = ["Link", "Script", "load_script"]

Argument = bytes | str | int
Call = tuple[Argument, ...]
_BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError)
_MAX_HOPS = 3
_USES = re.compile(r"^-- uses: (.+)$", re.MULTILINE)
# Only another server can do better, and only a new connection can find it: a demoted primary keeps
# answering READONLY, and one that lost its replicas may have been replaced.
_UNFIT = frozenset({"MASTERDOWN", "NOREPLICAS", "READONLY", "UNBLOCKED"})


class Script:
    """A Lua script and its digest; static text, shipped in the wheel."""

    def __init__(self, text: str) -> None:
        self.text: bytes = text.encode()
        # Redis names scripts by SHA-1; nothing rests on its strength.
        self.digest: bytes = sha1(self.text, usedforsecurity=False).hexdigest().encode()


def load_script(name: str) -> Script:
    """The script ``scripts/<name>.lua``, in front of it the parts that it names after ``-- uses:``."""
    texts: dict[str, str] = {}
    _load_text(name, texts)
    return Script("".join(texts.values()))


def _load_text(path: str, texts: dict[str, str]) -> None:
    """Add a script to ``texts``, after the parts that it uses and those that they use: each once."""
    text = resources.files("streamix_queue.broker").joinpath(f"scripts/{path}.lua").read_text("utf-8")
    for part in _USES.findall(text):
        for name in part.split():
            if f"parts/{name}" not in texts:
                _load_text(f"parts/{name}", texts)
    texts[path] = text


class Link:
    """One connection, opened at first use and again after every break.

    Not thread-safe: owned by one thread at a time. `abort` may be called from any.

    Args:
        url: See `Endpoint`.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, timeout_s: float, *, endpoint: Endpoint | None = None) -> None:
        self._endpoint = endpoint or Endpoint(url, timeout_s)
        self.where: str = self._endpoint.where
        self._connection: Any = None
        self.opened: int = 0
        """How often a connection was opened: tells a new one from the one before."""

    @property
    def connected(self) -> bool:
        """True while there is a connection (that the server may have closed meanwhile)."""
        return self._connection is not None

    def connect(self) -> Any:
        """The connection, opened if need be. Raises `BrokerUnavailable` or `BrokerRefused`."""
        if self._connection is None:
            connection: Any = self._endpoint.make_connection()
            try:
                connection.connect()
            except (*_BROKEN, redis.RedisError) as error:
                connection.disconnect()
                self._endpoint.failed()
                raise _nothing_done(classify(error, self.where)) from None
            except BaseException:  # Ctrl-C in the middle of it
                connection.disconnect()
                raise
            self._connection = connection
            self.opened += 1
        return self._connection

    def call(self, *command: Argument) -> Any:
        """Send one command and return its raw reply (bytes, ints, lists)."""
        return self._call(command, _MAX_HOPS)

    def _call(self, command: Call, hops: int) -> Any:
        connection = self.connect()
        try:
            connection.send_command(*command)
            return connection.read_response()
        except MovedError as error:
            self._follow(error)
            if hops == 0:
                raise _nothing_done(classify(error, self.where)) from None
            return self._call(command, hops - 1)
        except redis.ResponseError as error:
            raise self.refusal(error) from None
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
        return self._send_packed(packed, replies, _MAX_HOPS)

    def _send_packed(self, packed: Any, replies: int, hops: int) -> list[Any]:
        connection = self.connect()
        answers: list[Any] = []
        moved: list[MovedError] = []
        try:
            connection.send_packed_command(packed)
            for _ in range(replies):
                try:
                    answers.append(connection.read_response())
                except MovedError as error:
                    moved.append(error)
                    answers.append(_nothing_done(classify(error, self.where)))
                except redis.ResponseError as error:
                    answers.append(_nothing_done(classify(error, self.where)))
        except _BROKEN as error:
            self.close()
            raise classify(error, self.where) from None
        except BaseException:  # Ctrl-C: the next command would read the replies to this one
            self.close()
            raise
        if moved:
            self._follow(moved[-1])
            # All our keys are in one slot, so mostly all or none; while it moves some may be served.
            if len(moved) == replies and hops > 0:
                return self._send_packed(packed, replies, hops - 1)
        else:
            self._drop_if_unfit(answers)
        return answers

    def _follow(self, error: MovedError) -> None:
        """Our keys are served by another node: go there from the next command on."""
        nodes: list[tuple[str, int]] = []
        with contextlib.suppress(redis.RedisError, OSError):
            self._connection.send_command("CLUSTER", "SLOTS")
            for _first, _last, *servers in self._connection.read_response():
                nodes += [(host.decode(), port) for host, port, *_ in servers if host]
        self.close()
        self._endpoint.moved(error.host, error.port, sorted(set(nodes)))

    def script(self, script: Script, keys: Sequence[bytes], *args: Argument) -> Any:
        """Run a script, loading it if the server does not know it (any more)."""
        try:
            return self.call("EVALSHA", script.digest, len(keys), *keys, *args)
        except BrokerError as error:
            if error.code != "NOSCRIPT":
                raise
        return self.call("EVAL", script.text, len(keys), *keys, *args)

    def now_ms(self) -> int:
        """The server's clock, Unix time in ms."""
        seconds, micros = self.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def refusal(self, error: redis.ResponseError) -> BrokerError:
        """The error as one of ours; after one that only another server can serve, the link is closed."""
        kind = _nothing_done(classify(error, self.where))
        self._drop_if_unfit([kind])
        return kind

    def _drop_if_unfit(self, answers: Sequence[object]) -> None:
        if any(isinstance(answer, BrokerError) and answer.code in _UNFIT for answer in answers):
            self.close()

    def sibling(self, timeout_s: float) -> Link:
        """Another link to where this one is connected, not open yet."""
        return Link("", timeout_s, endpoint=self._endpoint.copy(timeout_s))

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
