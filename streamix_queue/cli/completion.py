"""`streamix completion`: what a shell needs to complete command lines."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from streamix_queue.cli.root import streamix
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.output import write

__all__ = ["completion"]

_SHELLS = ("bash", "zsh", "fish")


_HOW = """\b
How:
  bash, in ~/.bashrc:  eval "$(streamix completion bash)"
  zsh, in ~/.zshrc:    eval "$(streamix completion zsh)"
  fish, once:          streamix completion fish > ~/.config/fish/completions/streamix.fish
"""


@click.command(epilog=_HOW)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> int:
    """Print what makes a shell complete this command.

    Completes commands and options. Of bash it takes 4.4 or newer.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    # Not .source(): that of bash first runs bash to ask its version, and warns on the terminal.
    maker = kind(streamix, {}, "streamix", "_STREAMIX_COMPLETE")
    write((maker.source_template % maker.source_vars()).rstrip("\n"))
    return Exit.OK
