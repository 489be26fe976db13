"""``--audit-log``: the audit lines of `streamix_queue.admin`, in a file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["audit_option"]

F = TypeVar("F", bound=Callable[..., Any])


def audit_option(command: F) -> F:
    """A file to which `streamix_queue.admin` adds a line for each run that changes something."""
    return click.option(
        "--audit-log",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        envvar="STREAMIX_AUDIT_LOG",
        show_envvar=True,
        expose_value=False,
        callback=_audit_into,
        help="Add a line: who, what and how many.",
    )(command)


def _audit_into(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if not path:
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"cannot write {path}: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("streamix_queue.audit")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    context.call_on_close(handler.close)
