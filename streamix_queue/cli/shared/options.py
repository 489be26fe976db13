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
    return redis_url_option(stream_option(command))


def redis_url_option(command: F) -> F:
    """``redis_url``: the server."""
    return click.option(
        "--redis-url",
        metavar="URL",
        envvar=_DECLARED["redis_url"].variables,
        default=ConsumerConfig.redis_url,
        show_envvar=True,
        show_default=True,
        help="The server. A password is better put into the environment than on a command line.",
    )(command)


def stream_option(command: F) -> F:
    """``stream``: the stream."""
    return click.option(
        "--stream",
        metavar="NAME",
        envvar=_DECLARED["stream"].variables,
        default=ConsumerConfig.stream,
        show_envvar=True,
        show_default=True,
        help="The stream.",
    )(command)


def group_option(help: str) -> Callable[[F], F]:  # noqa: A002 - click's own word for it
    """``group``: a consumer group, None if none is named."""
    return click.option(
        "--group",
        metavar="NAME",
        envvar=_DECLARED["group"].variables,
        show_envvar=True,
        shell_complete=complete_groups,
        help=help,
    )


def output_option(command: F) -> F:
    """``output``: how data is printed."""
    return click.option(
        "-o", "--output", type=click.Choice(OUTPUTS), default="table", show_default=True, help="How to print."
    )(command)
