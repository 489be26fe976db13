"""``--config``: the server, the stream and the group that a file names are the defaults of every verb."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["config_option", "file_argument"]

F = TypeVar("F", bound=Callable[..., Any])

# Of a consumer's own options none: `streamix run` runs it as its application made it.
_FOR_EVERY_VERB = ("redis_url", "stream", "group")
_META = "streamix_queue.config"


def config_option(command: F) -> F:
    """The root's ``--config``, which gives the verbs their defaults."""
    return click.option(
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=_read,
        help="Read settings from this file, and not from ./streamix.toml or [tool.streamix] in "
        "./pyproject.toml.  [env var: STREAMIX_CONFIG]",
    )(command)


def file_argument(context: click.Context) -> str | None:
    """What ``--config`` names, if it was given."""
    found: str | None = context.meta.get(_META)
    return found


def _read(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if context.resilient_parsing:  # the shell asks for completions
        return
    context.meta[_META] = path
    here = Path.cwd()
    if not (path or os.environ.get("STREAMIX_CONFIG") or _any_file(here)):
        return
    from streamix_queue.settings import SettingsFile  # noqa: PLC0415 - only who has a file pays for it

    file = SettingsFile.find(os.environ, here, path)
    if file is not None:
        said = file.settings
        context.default_map = {name: said[name].value for name in _FOR_EVERY_VERB if name in said}


def _any_file(directory: Path) -> bool:
    return any((directory / name).is_file() for name in ("streamix.toml", "pyproject.toml"))
