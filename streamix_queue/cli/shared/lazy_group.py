"""A group of commands that imports a command when it is called, and not to list it in the help."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

if TYPE_CHECKING:
    from importlib.abc import InspectLoader

    from click.shell_completion import CompletionItem

__all__ = ["LazyGroup", "Verb"]


class Verb(NamedTuple):
    """Where a command is.

    Attributes:
        target: ``module:attribute``, a function at the top of the module.
        section: Heading under which the help of its group lists it.
    """

    target: str
    section: str = "Commands"

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def summary(self) -> str:
        """The first paragraph of the command's docstring; empty if Python runs with ``-OO``.

        Read from the compiled module without executing it, for that would load redis-py.
        """
        module, _, attribute = self.target.partition(":")
        spec = find_spec(module)
        assert spec is not None
        code = cast("InspectLoader", spec.loader).get_code(module)
        assert code is not None
        function = next(
            each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == attribute
        )
        docstring = next(iter(function.co_consts), None)
        return " ".join(docstring.split("\n\n")[0].split()) if isinstance(docstring, str) else ""


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
        return verb.load() if verb else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.verbs and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self.verbs, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {name!r}.{hint}", ctx)
        if ctx.default_map:  # from the file of --config: it holds for every command, at each level
            ctx.default_map = {**ctx.default_map, name: dict(ctx.default_map)}
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # As the base class does it, but without importing every verb to see whether it is hidden.
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        fitting = [
            CompletionItem(name, help=verb.summary())
            for name, verb in self.verbs.items()
            if name.startswith(incomplete)
        ]
        return fitting + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, verb in self.verbs.items():
            sections.setdefault(verb.section, []).append((name, verb.summary()))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
