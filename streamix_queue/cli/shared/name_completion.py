"""Names from Redis for the shell's completion: within 0.3 s or none, and no output on an error."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.options import declared

if TYPE_CHECKING:
    from streamix_queue.admin import Control

__all__ = ["complete_events", "complete_groups"]

_WITHIN_MS = 300
_DECLARED = declared(ConsumerConfig)
_DEFAULTS = {"redis_url": ConsumerConfig.redis_url, "stream": ConsumerConfig.stream, "group": ""}


def complete_groups(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The groups of the stream."""

    def groups(control: Control) -> list[str]:
        return control.groups()

    return _names(ctx, incomplete, groups)


def complete_events(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The events of the group, which may be left out if it is the only one."""
    named = _given(ctx, "group")

    def events(control: Control) -> list[str]:
        groups = [named] if named else control.groups()
        return control.events(groups[0]) if len(groups) == 1 else []

    return _names(ctx, incomplete, events)


def _names(ctx: click.Context, incomplete: str, ask: Callable[[Control], list[str]]) -> list[str]:
    from streamix_queue.admin import Control  # noqa: PLC0415 - loads redis-py, which takes a while

    try:
        with Control(_given(ctx, "redis_url"), _given(ctx, "stream"), timeout_ms=_WITHIN_MS) as control:
            names = ask(control)
    except Exception:  # noqa: BLE001 - a message would stand in the middle of the command line
        return []
    # A name with control characters is not offered.
    return [name for name in names if name.startswith(incomplete) and name.isprintable()]


def _given(ctx: click.Context, name: str) -> str:
    """What the line says so far: completion applies neither the environment nor defaults."""
    found = (ctx.params.get(name), *map(os.environ.get, _DECLARED[name].variables), _DEFAULTS[name])
    return next(value for value in found if value is not None)
