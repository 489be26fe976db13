"""Interceptors around a piece of work; a broken one is reported once and harms no message."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

__all__ = ["Scope", "enter_all", "leave_all"]

Scope = AbstractContextManager[None]
_T = TypeVar("_T")
_Exit = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

_log = logging.getLogger("streamix_queue")
_complained: set[str] = set()


def enter_all(openers: Sequence[Callable[[_T], Scope | None]], subject: _T) -> list[Scope] | None:
    """Open a scope around ``subject`` with each, outermost first; None if none was wanted."""
    entered: list[Scope] | None = None
    for opener in openers:
        try:
            scope = opener(subject)
            if scope is not None:
                scope.__enter__()
                if entered is None:
                    entered = [scope]
                else:
                    entered.append(scope)
        except Exception:  # noqa: BLE001 - whatever it is, the message goes on
            _complain(opener)
    return entered


def leave_all(scopes: list[Scope] | None, ending: _Exit = (None, None, None)) -> None:
    """Leave them, innermost first. None can swallow what ended the work."""
    for scope in reversed(scopes or ()):
        try:
            scope.__exit__(*ending)
        except Exception:  # noqa: BLE001 - as above
            _complain(scope)


def _complain(culprit: object) -> None:
    name = getattr(culprit, "__qualname__", None) or type(culprit).__qualname__
    if name not in _complained:
        _complained.add(name)
        _log.exception("%s failed around a message; not reported again", name)
