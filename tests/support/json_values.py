"""What Hypothesis draws: payloads as callers make them, and JSON as other programs spell it."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from typing import Any, NamedTuple

from hypothesis import strategies as st

from streamix_queue.core.message import StreamMessage, Timestamps

CREATED = "2026-04-24T17:45:00.123456+00:00"
LATER = "2026-04-24T17:46:00.654321+00:00"
MESSAGE_ID = "550e8400-e29b-41d4-a716-446655440000"


class Colour(str, enum.Enum):
    RED = "red"
    GREEN = "gr\u00fcn"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 1 << 70


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not what is on the wire"


class Count(int):
    def __repr__(self) -> str:
        return "not what is on the wire"


class Share(float):
    def __repr__(self) -> str:
        return "not what is on the wire"


class Items(list[Any]):
    pass


class Point(NamedTuple):
    x: Any
    y: Any


def envelope_of_0_1_0(message: StreamMessage) -> bytes:
    """The bytes that 0.1.0 writes for ``message``; tests/system holds this to the real one."""
    times = {"created_at": message.timestamps.created_at, "updated_at": message.timestamps.updated_at}
    envelope = {
        "id": message.id,
        "event": message.event,
        "data": message.data,
        "retries": message.retries,
        "timestamps": times,
    }
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()


def message_with(data: dict[str, Any], *, event: str = "user.created", retries: int = 0) -> StreamMessage:
    return StreamMessage(MESSAGE_ID, event, data, retries, Timestamps(CREATED, LATER))


# --- payloads as Python objects -----------------------------------------------------------------

_EDGES = [
    sign * (base + off) for base in (1 << 53, 1 << 63, 1 << 64) for off in (-1, 0, 1) for sign in (1, -1)
]
integers = st.one_of(st.integers(), st.sampled_from([*_EDGES, 10**4299 - 1, 1 - 10**4299]))
floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.one_of(
    st.text(), st.text(st.characters(max_codepoint=0x7F)), st.sampled_from(["\u2028", "\x7f", '"\\/'])
)
keys = st.one_of(texts, texts.map(Name), st.sampled_from(Colour))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    texts,
    texts.map(Name),
    integers.map(Count),
    floats.map(Share),
    st.sampled_from([*Colour, *Level]),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    objects = st.dictionaries(keys, inner, max_size=4)
    return st.one_of(
        lists,
        lists.map(tuple),
        lists.map(Items),
        st.builds(Point, inner, inner),
        objects,
        objects.map(OrderedDict),
    )


values = st.recursive(scalars, _containers, max_leaves=20)
payloads = st.dictionaries(keys, values, max_size=5)
events = st.one_of(st.text(min_size=1), st.just(Name("order.placed")), st.sampled_from(Colour))

# --- payloads as text: the same value has many spellings ----------------------------------------

_spaces = st.text(" \t\r\n", max_size=2)


def _escaped(character: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(character.encode("utf-16-le")).cast("H"))


@st.composite
def spelled_strings(draw: st.DrawFn) -> str:
    parts = []
    for character in draw(st.text(max_size=6)):
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        parts.append(_escaped(character) if draw(st.booleans()) else plain)
    return '"' + "".join(parts) + draw(st.sampled_from(["", "\\/"])) + '"'


_numbers = st.one_of(
    st.integers().map(str),
    floats.map(repr),
    st.sampled_from(["-0", "1E5", "1e+2", "0.10", "-0.0", "1.000000000000000000001", "5e-324"]),
)


def _spaced(draw: st.DrawFn, parts: list[str]) -> str:
    return "".join(part + draw(_spaces) for part in parts)


@st.composite
def _spelled_array(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(inner, max_size=3))
    parts = ["["]
    for index, item in enumerate(items):
        parts += [item] if index == 0 else [",", item]
    return _spaced(draw, [*parts, "]"])


@st.composite
def _spelled_object(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    members = draw(st.lists(st.tuples(spelled_strings(), inner), max_size=3))
    parts = ["{"]
    for index, (key, value) in enumerate(members):
        parts += [key, ":", value] if index == 0 else [",", key, ":", value]
    return _spaced(draw, [*parts, "}"])


_spelled_values = st.recursive(
    st.one_of(st.sampled_from(["null", "true", "false"]), _numbers, spelled_strings()),
    lambda inner: st.one_of(_spelled_array(inner), _spelled_object(inner)),
    max_leaves=10,
)
spelled_objects = _spelled_object(_spelled_values).map(str.strip)


@st.composite
def spelled_envelopes(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An envelope with its members in any order and any spacing, and the text of its ``data``."""
    data = draw(spelled_objects)
    members = [
        ["id", f'"{MESSAGE_ID}"'],
        ["event", '"user.created"'],
        ["data", data],
        ["retries", str(draw(st.integers(0, 1000)))],
        ["timestamps", f'{{"updated_at":"{LATER}","created_at":"{CREATED}"}}'],
        *draw(st.lists(st.just(["trace", '{"x":[1]}']), max_size=1)),
    ]
    parts = ["{"]
    for index, (key, value) in enumerate(draw(st.permutations(members))):
        parts += ([","] if index else []) + [f'"{key}"', ":", value]
    return (draw(_spaces) + _spaced(draw, [*parts, "}"])).encode(), data.encode()
