"""Names of a package that are loaded at their first use, and not with the package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and the ``__dir__`` of ``package``.

    Args:
        package: Its ``__name__``.
        homes: Name → the module that has it.
    """
    names = vars(sys.modules[package])

    def load(name: str) -> Any:
        from importlib import import_module  # noqa: PLC0415 - at first use, like all of this

        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = names[name] = getattr(import_module(homes[name]), name)
        return value

    return load, lambda: sorted({*names, *homes})
