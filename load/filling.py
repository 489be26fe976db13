"""Puts messages onto the stream fast, and looks afterwards whether each is there once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import msgspec
from hiredis import pack_command

from load.payload import EVENT, STREAM, envelope

_PER_ROUND_TRIP = 1000
_PAGE = 1000


def fill(
    client: Any, messages: int, *, event_of: Callable[[int], str] = lambda n: EVENT, pad: str = ""
) -> None:
    """Write ``messages`` entries, each as a bare client writes it, with an id of its own.

    ``event_of`` gives the event of message n; ``pad`` makes them bigger, plain text that JSON
    need not escape.
    """
    connection = client.connection_pool.get_connection()
    try:
        for first in range(0, messages, _PER_ROUND_TRIP):
            numbers = range(first, min(first + _PER_ROUND_TRIP, messages))
            make = _maker(pad)  # the time in a message is at most one round trip old
            packed = [_pack("XADD", STREAM, "*", "message", make(n, event_of(n))) for n in numbers]
            connection.send_packed_command([b"".join(packed)])
            for _ in numbers:
                connection.read_response()
    finally:
        client.connection_pool.release(connection)


def _pack(*parts: str) -> bytes:
    packed: bytes = pack_command(cast("Any", parts))  # its stub wants a tuple of one
    return packed


def _maker(pad: str) -> Callable[[int, str], str]:
    """`envelope` with the parts that stay the same made once."""
    number = 987_654_321
    whole = envelope(number, event="EVENT")
    old_id = msgspec.json.decode(whole)["id"]
    head, middle, rest = whole.partition(old_id)[0], *whole.partition(old_id)[2].partition(str(number))[::2]
    if pad:
        rest = rest.replace('"t":', f'"pad":"{pad}","t":', 1)

    def make(n: int, event: str) -> str:
        return f"{head}{uuid.uuid4()}{middle.replace('EVENT', event, 1)}{n}{rest}"

    return make


def numbers_on(
    client: Any, key: str, number_of: Callable[[dict[bytes, bytes]], int] | None = None
) -> Counter[int]:
    """How often each message is on the stream ``key``."""
    number_of = number_of or number_in
    found: Counter[int] = Counter()
    start = "-"
    while page := client.xrange(key, start, "+", count=_PAGE):
        found.update(number_of(fields) for _, fields in page)
        start = b"(" + page[-1][0]
    return found


def number_in(fields: dict[bytes, bytes]) -> int:
    """The number of the message in an entry."""
    number: int = msgspec.json.decode(fields[b"message"])["data"]["n"]
    return number


def number_in_dead_letter(fields: dict[bytes, bytes]) -> int:
    """The number of the message in an entry of the dead-letter stream."""
    number: int = msgspec.json.decode(fields[b"message"])["data"]["original_data"]["n"]
    return number


def lost_and_duplicates(found: Counter[int], expected: range | set[int]) -> tuple[int, int]:
    """Which of ``expected`` are missing, and what is there more than once or was never asked for."""
    lost = sum(1 for n in expected if not found[n])
    duplicates = sum(found.values()) - (len(expected) - lost)
    return lost, duplicates


def unsettled(client: Any, key: str, group: str) -> int:
    """Entries of ``group`` that are not acked: pending, or never delivered."""
    groups = {entry["name"].decode(): entry for entry in client.xinfo_groups(key)}
    if group not in groups:
        return int(client.xlen(key))
    entry = groups[group]
    lag = entry.get("lag")
    if lag is None:  # Redis 6 does not tell
        lag = len(client.xrange(key, b"(" + entry["last-delivered-id"], "+", count=_PAGE))
    return int(entry["pending"]) + int(lag)
