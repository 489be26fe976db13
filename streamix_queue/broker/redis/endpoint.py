"""Where to connect: one server, the primary that Sentinels name, or the node of a cluster."""

from __future__ import annotations

from copy import copy
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from streamix_queue.broker.redis.errors import unreadable_url
from streamix_queue.core.errors import BrokerUnavailable, ConfigError
from streamix_queue.core.redact import redact_url

__all__ = ["Endpoint"]

_CONNECT_TIMEOUT_S = 5.0
_SENTINEL_PORT = 26379
_Address = tuple[str, int]


class Endpoint:
    """Makes connections for one `Link`, to wherever its keys are served now. Not thread-safe.

    * ``redis://``, ``rediss://``, ``unix://``: that server. If it is a node of a Redis Cluster, it
      tells by MOVED which node serves our keys (all of ours share one slot); that one is used
      until it fails, and then any other node that is known.
    * ``redis+sentinel://[user:password@]host:port[,host:port…]/service[/db]`` (and
      ``rediss+sentinel://``): the Sentinels are asked before every connection.

    Args:
        url: The URL.
        timeout_s: How long to wait for a reply, in seconds.

    Raises:
        ConfigError: the URL cannot be read; the text holds no secret.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.where: str = redact_url(url)
        self._sentinel: Sentinel | None = None
        self._service = ""
        scheme = url.partition("://")[0]
        if scheme.endswith("+sentinel"):
            url = self._read_sentinel_url(url, scheme.removesuffix("+sentinel"), timeout_s)
        self._options = _options(url, timeout_s, self.where)
        self._seed = self._address_in(self._options)
        self._current = self._seed
        self._nodes: list[_Address] = []

    def make_connection(self) -> Any:
        """A connection that is not open yet.

        Raises:
            BrokerUnavailable: no Sentinel knows a primary.
        """
        options = dict(self._options)
        if self._sentinel is not None:
            try:
                options["host"], options["port"] = self._sentinel.discover_master(  # type: ignore[no-untyped-call]
                    self._service
                )
            except (redis.RedisError, OSError) as error:
                raise BrokerUnavailable(f"{self.where}: {type(error).__name__}: {error}"[:300]) from None
        elif self._current is not None:
            options["host"], options["port"] = self._current
        # The pool only makes connections of the right class; it never holds one.
        return ConnectionPool(**options).make_connection()

    def copy(self, timeout_s: float) -> Endpoint:
        """The same, and at the same node now, with another time to wait for replies."""
        twin = copy(self)
        twin._options = {**self._options, "socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        if "path" in twin._options:
            del twin._options["socket_connect_timeout"]
        return twin

    def moved(self, host: str, port: int, nodes: list[_Address]) -> None:
        """Our keys are served by another node of the cluster."""
        seed = self._seed
        self._current = (host or (seed[0] if seed else host), port)
        self._nodes = nodes

    def failed(self) -> None:
        """The connection could not be opened: next time another node, if one is known."""
        known = [each for each in (self._seed, *self._nodes) if each is not None]
        if self._current in known:
            self._current = known[(known.index(self._current) + 1) % len(known)]
        else:
            self._current = self._seed

    def _read_sentinel_url(self, url: str, scheme: str, timeout_s: float) -> str:
        """Set up the Sentinels; the URL of the primary with a host to be filled in."""
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        service, _, db = parts.path.strip("/").partition("/")
        if not hosts or not service or scheme not in ("redis", "rediss"):
            raise ConfigError(
                f"redis_url={self.where!r}: expected redis+sentinel://host:port,host:port/service/db"
            )
        query = dict(parse_qsl(parts.query))
        kwargs: dict[str, Any] = {
            "socket_timeout": min(timeout_s, 2.0),
            "socket_connect_timeout": min(timeout_s, 2.0),
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "username": query.pop("sentinel_username", None),
            "password": query.pop("sentinel_password", None),
        }
        self._service = unquote(service)
        addresses = [_host_and_port(host, self.where) for host in hosts.split(",")]
        self._sentinel = Sentinel(addresses, sentinel_kwargs=kwargs)  # type: ignore[no-untyped-call]
        login = f"{credentials}@" if credentials else ""
        return f"{scheme}://{login}primary/{db}?{urlencode(query)}"

    @staticmethod
    def _address_in(options: dict[str, Any]) -> _Address | None:
        if "path" in options:
            return None
        return options.get("host", "localhost"), int(options.get("port", 6379))


def _host_and_port(text: str, where: str) -> _Address:
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    if port and not port.isdigit():
        raise ConfigError(f"redis_url={where!r}: expected host:port, not {text!r}")
    return host.strip("[]"), int(port or _SENTINEL_PORT)


def _options(url: str, timeout_s: float, where: str) -> dict[str, Any]:
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise unreadable_url(error, where) from None
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
