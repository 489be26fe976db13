"""What Redis knows of the groups of a stream, read in one way by all that look at them."""

from __future__ import annotations

from typing import Any

from streamix_queue.broker.redis.link import Call, Link
from streamix_queue.core.errors import BrokerError
from streamix_queue.core.keys import Keys

__all__ = ["Facts", "event_names", "facts_of", "group_names", "latest_events"]

Facts = dict[str, Any]
"""What `XINFO` tells of one thing; which names there are depends on the server."""


def facts_of(reply: object) -> list[Facts]:
    """The facts in a list of flat lists of names and values; none in any other reply."""
    if not isinstance(reply, list):
        return []
    return [
        {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)} for flat in reply
    ]


def group_names(link: Link, key: bytes) -> list[bytes]:
    """Names of the consumer groups of a stream; none if there is no stream."""
    try:
        reply = link.call("XINFO", "GROUPS", key)
    except BrokerError as error:
        if error.code == "NOKEY":
            return []
        raise
    return [facts["name"] for facts in facts_of(reply)]


def latest_events(keys: Keys, limit: int) -> Call:
    """Asks for what members of a group handle or handled lately; of very many the latest."""
    return ("ZREVRANGE", keys.handlers, 0, limit - 1)


def event_names(link: Link, keys: Keys, limit: int) -> list[str]:
    """What `latest_events` asks for, by name."""
    names: list[bytes] = link.call(*latest_events(keys, limit))
    return sorted(name.decode(errors="replace") for name in names)
