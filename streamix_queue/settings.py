"""`Settings`: the options of a consumer and a publisher from the environment and a file.

A `Consumer` and a `Publisher` read neither by themselves: what they do is what their arguments
say. An application that wants to be configured from outside says so::

    consumer = Consumer(**Settings.load().consumer_options())
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from streamix_queue.core.config import ConsumerConfig, PublisherConfig
from streamix_queue.core.durations import milliseconds_in
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.options import Option, declared
from streamix_queue.core.redact import redact_url

__all__ = ["FIELDS", "Field", "Setting", "Settings", "SettingsFile"]

T = TypeVar("T")
_WHOLE = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_NEVER = "none"  # TOML and the environment have no None of their own


@dataclass(frozen=True, kw_only=True)
class Field(Option):
    """One option that may come from outside.

    Attributes:
        used_by: ``consumer``, ``publisher`` or both.
    """

    used_by: tuple[str, ...]


def _fields() -> dict[str, Field]:
    users = {"consumer": declared(ConsumerConfig), "publisher": declared(PublisherConfig)}
    every = {name: option for options in users.values() for name, option in options.items()}
    return {
        name: Field(**vars(option), used_by=tuple(user for user, options in users.items() if name in options))
        for name, option in every.items()
        if option.kind != "object"
    }


FIELDS = _fields()
"""Name → every option that may come from outside."""

_BY_NAME = {name: field for field in FIELDS.values() for name in field.names}


class Setting(NamedTuple):
    """A value, and where it comes from.

    Attributes:
        value: Of the type that the constructors take; times are whole milliseconds.
        origin: ``argument``, ``environment NAME``, ``file PATH:LINE`` or ``default``.
    """

    value: Any
    origin: str

    def __repr__(self) -> str:
        return f"<setting from {self.origin}>"  # the value may hold a password


# --- the file -----------------------------------------------------------------------------------


class SettingsFile:
    """What a file says: ``streamix.toml``, or the table ``[tool.streamix]`` of a ``pyproject.toml``.

    Args:
        path: Where it is.
        text: What is in it.

    Raises:
        ConfigError: it is no TOML, a key is unknown, or a value has the wrong type.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines = text.splitlines()
        self._within = "tool.streamix" if path.name == "pyproject.toml" else ""
        found: Any = _toml(path, text)
        for key in filter(None, self._within.split(".")):
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if not isinstance(found, dict):
            raise ConfigError(f"{path}: {self._within}: expected a table")
        said = {key: self._setting(key, value) for key, value in found.items()}
        self.settings: dict[str, Setting] = _strongest(said)

    @classmethod
    def find(
        cls, environ: Mapping[str, str], cwd: Path, path: str | Path | None = None
    ) -> SettingsFile | None:
        """Read the file that ``path`` or ``STREAMIX_CONFIG`` names, else the one in ``cwd``, if any.

        Raises:
            ConfigError: the named file cannot be read, or as the constructor.
        """
        named = path or environ.get("STREAMIX_CONFIG")
        if named:
            return cls(cwd / named, _read(cwd / named))
        for candidate in (cwd / "streamix.toml", cwd / "pyproject.toml"):
            if not candidate.is_file():
                continue
            text = _read(candidate)
            # Most projects' pyproject.toml is none of our business, nor are its mistakes.
            if candidate.name != "pyproject.toml" or "streamix" in text:
                file = cls(candidate, text)
                if file.settings or candidate.name != "pyproject.toml":
                    return file
        return None

    def _setting(self, key: str, value: object) -> Setting:
        place = self._place(key)
        field = _BY_NAME.get(key)
        if field is None:
            near = difflib.get_close_matches(key, _BY_NAME, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(FIELDS)}."
            raise ConfigError(f"{place}: there is no setting {key!r}.{hint}")
        return Setting(_converted(field, value, place), f"file {place}")

    def _place(self, key: str) -> str:
        """``PATH:LINE``; without the line if the key is written in an unusual way."""
        pattern = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
        inside = not self._within
        for number, line in enumerate(self._lines, 1):
            if line.lstrip().startswith("["):
                inside = line.split("#")[0].strip() == f"[{self._within}]"
            elif inside and pattern.match(line):
                return f"{self.path}:{number}"
        return str(self.path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: it is not UTF-8") from None


def _toml(path: Path, text: str) -> dict[str, Any]:
    # By name, for a type checker knows but one of the two.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        parsed: dict[str, Any] = toml.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    return parsed


# --- all of it ----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Settings:
    """What is set, and where. Immutable, so safe to share between threads.

    Field by field arguments win over the environment, that over the file, that over the defaults.

    Attributes:
        explicit: Name → what somebody set; what nobody set is not in it.
        file: The file that was read, if there is one.
    """

    explicit: Mapping[str, Setting]
    file: Path | None = None

    @classmethod
    def load(
        cls,
        arguments: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        config: str | Path | None = None,
    ) -> Settings:
        """Put together what arguments, environment and file say.

        Times are whole milliseconds, or texts such as ``"30s"``, ``"5m"`` and ``"24h"``; ``"none"``
        stands for None where an option may be None.

        Args:
            arguments: Name → value that wins over all others; None counts as not given.
            environ: The process' own if None. An empty variable counts as not set.
            cwd: Where ``streamix.toml`` and ``pyproject.toml`` are looked for: the current directory.
            config: The file to read instead; ``STREAMIX_CONFIG`` names one, too.

        Raises:
            ConfigError: a name is unknown, a value has the wrong type, or the file cannot be read;
                says where. Ranges are checked by the constructors.
        """
        variables = os.environ if environ is None else environ
        file = SettingsFile.find(variables, Path(cwd or Path.cwd()), config)
        merged = merge(arguments or {}, variables, file.settings if file else {})
        return cls(merged, file.path if file else None)

    def consumer_options(self) -> dict[str, Any]:
        """Keyword arguments for a `Consumer`: what is set, the rest is left to its defaults."""
        return self._options("consumer")

    def publisher_options(self) -> dict[str, Any]:
        """Keyword arguments for a `Publisher`: what is set, the rest is left to its defaults."""
        return self._options("publisher")

    def effective(self) -> dict[str, Setting]:
        """Name → every setting, the defaults of the constructors included."""
        return {
            name: self.explicit.get(name) or Setting(field.default, "default")
            for name, field in FIELDS.items()
        }

    def __repr__(self) -> str:
        return f"Settings({', '.join(self.explicit)})"

    def _options(self, user: str) -> dict[str, Any]:
        return {
            name: setting.value for name, setting in self.explicit.items() if user in FIELDS[name].used_by
        }


def merge(
    arguments: Mapping[str, Any], environ: Mapping[str, str], file: Mapping[str, Setting]
) -> dict[str, Setting]:
    """What is set, field by field. Pure. Raises `ConfigError`."""
    unknown = [name for name in arguments if name not in _BY_NAME]
    if unknown:
        raise ConfigError(f"argument {unknown[0]!r}: there is no such setting")
    given = _strongest({name: value for name, value in arguments.items() if value is not None})
    merged: dict[str, Setting] = {}
    for name, field in FIELDS.items():
        variable = next((each for each in field.variables if environ.get(each)), None)
        if name in given:
            merged[name] = Setting(_converted(field, given[name], "argument"), "argument")
        elif variable is not None:
            merged[name] = Setting(_from_text(field, environ[variable], variable), f"environment {variable}")
        elif name in file:
            merged[name] = file[name]
    return merged


def _strongest(said: Mapping[str, T]) -> dict[str, T]:
    """What is said of each option, by its own name, where several of its names may say something."""
    return {
        field.name: said[name] for field in FIELDS.values() for name in reversed(field.names) if name in said
    }


# --- values -------------------------------------------------------------------------------------


def _from_text(field: Field, text: str, place: str) -> Any:
    """What the environment means, which has nothing but text."""
    text = text.strip()
    if field.kind == "whole" and _WHOLE.match(text):
        return int(text)
    if field.kind == "share":
        try:
            return float(text)
        except ValueError:
            raise _wrong(field, text, place) from None
    return _converted(field, text, place)


def _converted(field: Field, value: Any, place: str) -> Any:
    """``value``, if it is of the right type, else `ConfigError`."""
    if field.optional and value == _NEVER:
        return None
    if isinstance(value, bool):
        raise _wrong(field, value, place)
    if field.kind == "time" and isinstance(value, str):
        return _milliseconds(field, value, place)
    if field.kind == "start" and isinstance(value, str):
        return _start(value)
    kinds: dict[str, tuple[type, ...]] = {
        "text": (str,),
        "whole": (int,),
        "share": (int, float),
        "time": (int,),
        "start": (datetime,),
    }
    if not isinstance(value, kinds[field.kind]):
        raise _wrong(field, value, place)
    return value


def _milliseconds(field: Field, text: str, place: str) -> int:
    text = text.strip()
    found = int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else milliseconds_in(text)
    if found is None:
        raise _wrong(field, text, place)
    return found


def _start(text: str) -> str | datetime:
    """A time if it reads as one; anything else is for the consumer to judge."""
    if "T" not in text:
        return text
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text


def _wrong(field: Field, value: object, place: str) -> ConfigError:
    expected = {
        "text": "text",
        "whole": "a whole number",
        "share": "a number from 0 to 1",
        "time": "a time such as 500ms, 30s, 5m or 24h; a bare number is milliseconds",
        "start": "beginning, latest, an entry id or a time with a time zone",
    }[field.kind]
    if field.optional:
        expected += ", or none"
    if field.name == "redis_url":
        shown = redact_url(str(value))
    else:  # a table of somebody's may hold anything
        shown = repr(value) if isinstance(value, (str, int, float)) else f"<{type(value).__name__}>"
    return ConfigError(f"{place}: {field.name}={shown}: expected {expected}")
