"""For properties that hold whether a call succeeds or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def refusal(kind: type[Exception], call: Callable[..., Any], *args: Any) -> str | None:
    """The text of the error of that kind, None if there was none. Any other error goes through."""
    try:
        call(*args)
    except kind as error:
        return str(error)
    return None
