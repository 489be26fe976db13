"""How the command ends: exit codes, and errors that say what, why and what to do next."""

from __future__ import annotations

import traceback
from enum import IntEnum

import click

from streamix_queue.core.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    ConfigError,
    StreamixError,
)
from streamix_queue.core.redact import redact_text

__all__ = ["Exit", "Failure", "explain"]


class Exit(IntEnum):
    """Exit codes. They are a contract: scripts and CI jobs rely on them."""

    OK = 0
    CONDITION = 1
    """What was asked about is not so, or a part of what was asked for failed."""
    USAGE = 2
    UNREACHABLE = 3
    IMPORT = 4
    """The application cannot be imported, or an extra of this package is missing."""
    NOT_FOUND = 5
    REFUSED = 6
    """Too dangerous without a confirmation."""
    GAVE_UP = 70
    """Something of ours kept failing."""
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Failure(Exception):
    """Ends the command with a message on stderr.

    Args:
        code: The exit code.
        what: What happened, and why.
        advice: What to do next, a line each.
    """

    def __init__(self, code: Exit, what: str, *advice: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.advice = advice


def explain(error: BaseException) -> Failure:
    """What an error that nobody caught means to the person at the terminal."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, click.exceptions.Abort):
        return Failure(Exit.INTERRUPTED, "interrupted")
    if isinstance(error, BrokerRefused):
        return Failure(Exit.UNREACHABLE, f"Redis refuses: {error}")
    if isinstance(error, BrokerUnavailable):
        return Failure(
            Exit.UNREACHABLE,
            f"cannot reach Redis: {error}",
            "Start one for development with:  streamix server",
            "Another one is named by --redis-url or STREAMIX_REDIS_URL.",
        )
    if isinstance(error, ConfigError):
        return Failure(Exit.USAGE, str(error))
    return _of_ours(error)


def _of_ours(error: BaseException) -> Failure:
    # By name, for their modules are worth importing only to those who run into them.
    kind = type(error).__name__
    if kind == "EmbeddedServerNotFound":
        return Failure(Exit.IMPORT, str(error))
    if kind == "RestartsExceeded":
        return Failure(Exit.GAVE_UP, f"gave up: {error}")
    if isinstance(error, (BrokerError, StreamixError)):
        return Failure(Exit.CONDITION, str(error))
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(Exit.GAVE_UP, f"an error of streamix itself, please report it\n{redact_text(trace)}")
