"""What may be published: JSON objects, checked before anything is written."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from streamix_queue.core.errors import InvalidMessage, InvalidMessageType

__all__ = ["MAX_DEPTH", "check_data", "check_event", "encode_json"]

MAX_DEPTH = 128
"""Deepest nesting of a payload. Python's own limit differs from version to version, and a
message that one member can decode and another cannot would be handled by luck."""

_INT64 = 1 << 63
_MAX_DIGITS = 4299
_MAX_INT: int = 10**_MAX_DIGITS
"""What json.dumps writes and every decoder reads: Python's own limit is 4300 digits, msgspec's
4300 characters, the sign included."""
_PLAIN = frozenset({str, bool, type(None)})
_encode = msgspec.json.Encoder().encode


def check_event(event: object) -> str:
    """Return ``event`` if it is a usable event name, else raise.

    Raises:
        InvalidMessageType: not a ``str``.
        InvalidMessage: empty, or not encodable as UTF-8.
    """
    if not isinstance(event, str):
        raise InvalidMessageType(f"event must be a string, not {type(event).__name__}")
    if not event:
        raise InvalidMessage("event must be a non-empty string")
    try:
        event.encode()
    except UnicodeEncodeError as error:
        raise InvalidMessage("event holds a lone surrogate, which UTF-8 cannot carry") from error
    return event


def check_data(data: object) -> bool:
    """Raise unless ``data`` is a JSON object; tell whether the fast encoder may be used.

    Returns:
        True when msgspec and ``json.dumps`` would write the same bytes. They differ in the
        spelling of floats and know different subclasses, and the wire is pinned to the latter.

    Raises:
        InvalidMessageType: not a ``dict``, a key that is not a string, a value of a type that
            JSON does not have. The text names the path.
        InvalidMessage: NaN or an infinity, an integer of thousands of digits, nesting beyond
            `MAX_DEPTH` (a cycle ends here, too).
    """
    if not isinstance(data, dict):
        raise InvalidMessageType(f"data must be a dictionary, not {type(data).__name__}")
    return _check_object(data, "data", 1)


def _check_object(value: dict[Any, Any], path: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise InvalidMessage(f"{_short(path)}: nested deeper than {MAX_DEPTH} levels, or a cycle")
    fast = type(value) is dict
    for key, item in value.items():
        if type(key) is not str:
            if not isinstance(key, str):
                raise InvalidMessageType(
                    f"{_short(path)}: key {key!r} is a {type(key).__name__}; JSON keys are strings"
                )
            fast = False
        kind = type(item)
        if kind in _PLAIN:
            continue
        if not _check_value(item, kind, f"{path}.{key}", depth):
            fast = False
    return fast


def _check_value(item: object, kind: type, path: str, depth: int) -> bool:
    """True if ``item`` is safe for the fast encoder; only called for what is not plain."""
    if kind is int and -_INT64 <= item < _INT64:  # type: ignore[operator]
        return True
    if isinstance(item, float):
        if not math.isfinite(item):
            raise InvalidMessage(f"{_short(path)}: {item!r} is not JSON")
        return False
    if isinstance(item, dict):
        return _check_object(item, path, depth + 1)
    if isinstance(item, (list, tuple)):
        return _check_array(item, path, depth + 1)
    if isinstance(item, int) and not -_MAX_INT < item < _MAX_INT:
        raise InvalidMessage(f"{_short(path)}: an integer of more than {_MAX_DIGITS} digits")
    if isinstance(item, (str, int)):
        return False  # a big one, an enum member or another subclass: json.dumps has its own rules
    raise InvalidMessageType(f"{_short(path)}: {kind.__name__} is not a JSON type")


def _check_array(value: list[Any] | tuple[Any, ...], path: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise InvalidMessage(f"{_short(path)}: nested deeper than {MAX_DEPTH} levels, or a cycle")
    fast = type(value) in {list, tuple}
    for index, item in enumerate(value):
        kind = type(item)
        if kind not in _PLAIN and not _check_value(item, kind, f"{path}[{index}]", depth):
            fast = False
    return fast


def _short(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:150]}...{path[-40:]}"


def encode_json(value: object, *, fast: bool) -> bytes:
    """``json.dumps(value, separators=(",", ":"), ensure_ascii=False)`` as bytes.

    Raises:
        InvalidMessage: text holds a lone surrogate, or Python refuses to spell a big integer.
    """
    try:
        if fast:
            return _encode(value)
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidMessage("data holds a lone surrogate, which UTF-8 cannot carry") from error
    except ValueError as error:  # the process has lowered sys.set_int_max_str_digits()
        raise InvalidMessage(f"data: {error}") from error
