"""How deep a payload may nest: the same on every Python, for the sender and for the reader.

Where each interpreter's own limit decided, one member could read what another could not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.errors import InvalidMessage, Malformed
from streamix_queue.core.payload import MAX_DEPTH
from streamix_queue.core.wire import decode, encode
from tests.support.json_values import message_with
from tests.support.refusals import refusal

HEAD = b'{"id":"1","event":"e","data":'
TAIL = b',"retries":0,"timestamps":{"created_at":"","updated_at":""}}'
DEEP = [MAX_DEPTH + 1, MAX_DEPTH + 2, 200, 900, 1000, 1100, 5000, 50_000]


def test_the_limit_is_part_of_what_members_agree_on() -> None:
    assert MAX_DEPTH == 128


def lists(depth: int) -> bytes:
    """An object of ``depth`` levels, itself included; of lists below the first."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def objects(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def mixed(depth: int) -> bytes:
    levels = [(b'[{"b":1},', b"]") if level % 2 else (b'{"a":', b"}") for level in range(depth - 1)]
    opened = b"".join(opening for opening, _ in levels)
    closed = b"".join(closing for _, closing in reversed(levels))
    return opened + b"{}" + closed


def flat_beside_deep(depth: int) -> bytes:
    """Many brackets before the deep part."""
    return b'{"flat":[' + b"{}," * 500 + b'[]],"deep":' + objects(depth - 1) + b"}"


SHAPES = [lists, objects, mixed, flat_beside_deep]


def can_be_read(data: bytes) -> bool:
    text = refusal(Malformed, decode, HEAD + data + TAIL)
    assert text in (None, f"nested deeper than {MAX_DEPTH} levels")
    return text is None


LEVELS = [lambda inner: {"k": inner}, lambda inner: [inner], lambda inner: (inner, 1.5)]


def python_object(depth: int, level: Callable[[Any], Any]) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = level(value)
    return {"a": value}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_deepest_payload_is_read(shape: Callable[[int], bytes]) -> None:
    assert can_be_read(shape(MAX_DEPTH))


@pytest.mark.parametrize("depth", DEEP)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_deeper_one_is_malformed(shape: Callable[[int], bytes], depth: int) -> None:
    assert not can_be_read(shape(depth))


@pytest.mark.parametrize("level", LEVELS)
def test_what_may_be_sent_can_be_read(level: Callable[[Any], Any]) -> None:
    raw = encode(message_with(python_object(MAX_DEPTH, level)), max_bytes=1 << 20)

    assert decode(raw).data == json.loads(raw)["data"]


@pytest.mark.parametrize("depth", DEEP)
@pytest.mark.parametrize("level", LEVELS)
def test_what_could_not_be_read_is_not_sent(level: Callable[[Any], Any], depth: int) -> None:
    with pytest.raises(InvalidMessage, match=f"deeper than {MAX_DEPTH} levels") as raised:
        encode(message_with(python_object(depth, level)), max_bytes=1 << 20)

    assert len(str(raised.value)) < 300, "the path is shortened"


def test_a_cycle_is_not_sent() -> None:
    cycle: dict[str, Any] = {}
    cycle["list"] = [cycle]

    with pytest.raises(InvalidMessage, match=r"data\.list\[0\].*or a cycle"):
        encode(message_with(cycle), max_bytes=1 << 20)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_a_member_that_we_do_not_know_may_not_nest_deeper_either(depth: int) -> None:
    raw = HEAD + b"{}" + TAIL[:-1] + b',"other":' + b"[" * depth + b"]" * depth + b"}"

    with pytest.raises(Malformed):
        decode(raw)


@given(st.text(st.sampled_from('{[]}"\\ a'), max_size=400))
def test_brackets_inside_strings_do_not_count(text: str) -> None:
    data = json.dumps({text: text, "more": [text] * 20}).encode()

    assert can_be_read(data)
    assert not can_be_read(data[:-1] + b',"deep":' + objects(MAX_DEPTH) + b"}")


@pytest.mark.parametrize(
    "hostile",
    [b"[", b"{", b'"', b'\\"', b'"[', b'{"a":', b'["\\', b"]", b"}["],
    ids=lambda piece: piece.decode(),
)
def test_hostile_bytes_are_refused_in_linear_time(hostile: bytes) -> None:
    def seconds(count: int) -> float:
        raw = HEAD + hostile * count
        best = 60.0
        for _ in range(3):
            started = time.perf_counter()
            with pytest.raises(Malformed):
                decode(raw)
            best = min(best, time.perf_counter() - started)
        return best

    small, large = seconds(20_000), seconds(200_000)

    assert large < 60 * small + 0.5, "ten times as many bytes; quadratic would be a hundred times the time"
