"""A group of commands that imports a command when it is called, and not to list it in the help."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

__all__ = ["LazyGroup", "Verb"]


class Verb(NamedTuple):
    """Where a command is, and what the list of commands says about it.

    Attributes:
        target: ``module:attribute``.
        summary: The first sentence of its own help.
        section: Heading under which it is listed.
    """

    target: str
    summary: str
    section: str = "Commands"


class LazyGroup(click.Group):
    """As `click.Group`, with its commands in a table.

    Args:
        verbs: Name → where to find it, in the order of the help.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **options: Any) -> None:
        super().__init__(*args, **options)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        module, _, attribute = verb.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.verbs and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.verbs, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, verb in self.verbs.items():
            sections.setdefault(verb.section, []).append((name, verb.summary))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
