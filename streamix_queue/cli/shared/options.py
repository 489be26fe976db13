"""Options that many verbs share, each with its environment variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from streamix_queue.cli.shared.name_completion import complete_groups
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.options import declared

__all__ = ["examples", "group_option", "output_option", "stream_options"]

F = TypeVar("F", bound=Callable[..., Any])

_DECLARED = declared(ConsumerConfig)
OUTPUTS = ("table", "wide", "json", "ndjson")


def examples(*lines: str) -> str:
    """The end of a verb's help: command lines that work."""
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def stream_options(command: F) -> F:
    """``redis_url`` and ``stream``: which stream of which server."""
    server = "The server. A password is better put into the environment than on a command line."
    redis_url = _option("redis_url", "URL", server, default=ConsumerConfig.redis_url, show_default=True)
    stream = _option("stream", "NAME", "The stream.", default=ConsumerConfig.stream, show_default=True)
    return redis_url(stream(command))


def group_option(help: str) -> Callable[[F], F]:  # noqa: A002 - click's own word for it
    """``group``: a consumer group, None if none is named."""
    return _option("group", "NAME", help, shell_complete=complete_groups)


def _option(name: str, metavar: str, help: str, **others: Any) -> Callable[[F], F]:  # noqa: A002 - as above
    """An option of a consumer's, with the environment variables that are declared for it."""
    return click.option(
        f"--{name.replace('_', '-')}",
        metavar=metavar,
        envvar=_DECLARED[name].variables,
        show_envvar=True,
        help=help,
        **others,
    )


def output_option(command: F) -> F:
    """``output``: how data is printed."""
    return click.option(
        "-o", "--output", type=click.Choice(OUTPUTS), default="table", show_default=True, help="How to print."
    )(command)
