"""How the command ends: exit codes, and errors that say what, why and what to do next."""

from __future__ import annotations

import traceback
from enum import IntEnum

import click

from streamix_queue.cli.shared.output import PipeClosed, note, silence
from streamix_queue.core.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    ConfigError,
    StreamixError,
)
from streamix_queue.core.redact import redact_text

__all__ = ["Exit", "Failure", "report"]


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
    """A part of the library kept failing, or has a fault."""
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


def report(error: Exception) -> int:
    """Say on stderr why the command ended, and what to do next; returns the exit code."""
    if isinstance(error, (BrokenPipeError, PipeClosed)):
        silence()
        return int(Exit.BROKEN_PIPE)
    failure = _failure(error)
    note(f"streamix: {failure.what}")
    for line in failure.advice:
        note(f"  {line}")
    return int(failure.code)


def _failure(error: Exception) -> Failure:
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
    return _other(error)


def _other(error: Exception) -> Failure:
    # By name: importing their modules takes longer than most verbs run.
    kind = type(error).__name__
    if kind == "EmbeddedServerNotFound":
        return Failure(Exit.IMPORT, str(error))
    if kind == "RestartsExceeded":
        return Failure(Exit.GAVE_UP, f"gave up: {error}")
    if isinstance(error, (BrokerError, StreamixError)):
        return Failure(Exit.CONDITION, str(error))
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(Exit.GAVE_UP, f"an error of streamix itself, please report it\n{redact_text(trace)}")
