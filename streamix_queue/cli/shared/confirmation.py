"""Asking before something is changed that cannot be changed back, and ``--yes``, which answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.output import at_terminal

__all__ = ["confirm", "yes_option"]

F = TypeVar("F", bound=Callable[..., Any])


def yes_option(help: str = "Do not ask.") -> Callable[[F], F]:  # noqa: A002 - click's own word for it
    """``yes``: go on without asking. Every verb that calls `confirm` has it."""
    return click.option("-y", "--yes", is_flag=True, help=help)


def confirm(question: str, nothing: str) -> None:
    """Go on only if the person at the terminal says yes.

    Args:
        question: What is asked.
        nothing: What did not happen otherwise.

    Raises:
        Failure: no was the answer, or there is no terminal.
    """
    if not (at_terminal(sys.stdin) and at_terminal(sys.stderr)):
        raise Failure(Exit.REFUSED, f"{nothing}: nobody can be asked", "Add --yes if you are sure.")
    if not click.confirm(question, err=True):
        raise Failure(Exit.REFUSED, nothing)
