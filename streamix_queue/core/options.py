"""What is declared of an option, once: as a field of the dataclass that the options of a call become.

From it come the checks of the constructors, the defaults of their signatures, what `Settings` and the
command read from outside, and by ``make options`` the texts of docstrings and of the README.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, TypeVar

__all__ = ["Check", "Option", "declared", "given", "like", "option"]

T = TypeVar("T")
Check = Callable[[str, Any], object]
"""Takes the option's name and a value; raises `ConfigError` unless the value is a good one."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        name: As the constructors call it.
        kind: ``text``, ``whole``, ``share``, ``time`` (whole milliseconds), ``start``, or ``object``,
            which only a program can give.
        default: What it is when nobody says otherwise.
        meaning: What it does, with its unit: the text of the docstrings. Its first sentence has to
            do alone in the README.
        values: Which values are good ones, as the README has it.
        or_none: None is good as well.
        clearer: Its name in files and in the environment, where its own would not say whose it is.
            Its own name counts there, too.
        also: Environment variables that name it, behind those that are made of its names.
        check_value: Judges a value that is not None, or None unless ``or_none``.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    values: str = ""
    or_none: bool = False
    clearer: str = ""
    also: tuple[str, ...] = ()
    check_value: Check

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called in a file, the strongest first."""
        return (self.clearer, self.name) if self.clearer else (self.name,)

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that name it, the strongest first."""
        return (*(f"STREAMIX_{name.upper()}" for name in self.names), *self.also)

    @property
    def optional(self) -> bool:
        """True if ``"none"`` stands for None, where there is nothing but text. A name may be that."""
        return self.or_none and self.kind != "text"

    def check(self, value: Any) -> None:
        """Raise `ConfigError` unless ``value`` is a good one; names the option, the value and the range."""
        if value is not None or not self.or_none:
            self.check_value(self.name, value)


def option(default: T, meaning: str, *, secret: bool = False, **more: Any) -> T:
    """A field that declares an option; ``more`` is as `Option` has it. A ``secret`` is in no repr."""
    declare = partial(Option, default=default, meaning=meaning, **{"or_none": default is None, **more})
    return field(default=default, repr=not secret, metadata={Option: declare})


def like(other: Option, meaning: str) -> Any:
    """A field that declares an option with the values of ``other``, or None, which is its default."""
    declare = partial(replace, other, default=None, meaning=meaning, or_none=True)
    return field(default=None, metadata={Option: declare})


def declared(config: type) -> Mapping[str, Option]:
    """Name → each option that the dataclass ``config`` declares, in order."""
    return {each.name: each.metadata[Option](name=each.name) for each in fields(config)}


def given(config: type, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Name → the value of each option of ``config``, from the ``locals()`` of a function that takes them."""
    return {name: scope[name] for name in declared(config)}
