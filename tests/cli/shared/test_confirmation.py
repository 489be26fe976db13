"""A verb that asks takes ``-y`` and ``--yes``; off a terminal nobody can be asked."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import streamix_queue.cli
from streamix_queue.cli.root import streamix as root
from streamix_queue.cli.shared.lazy_group import LazyGroup

ASKING = {"trim", "retries now", "retries cancel", "dlq purge", "dlq replay"}


def _command(verb: str) -> click.Command:
    command: click.Command = root
    for word in verb.split():
        assert isinstance(command, LazyGroup)
        command = command.verbs[word].load()
    return command


def test_every_verb_that_asks_is_judged_here() -> None:
    """Fails when a verb asks and is not in the table above."""
    folder = Path(streamix_queue.cli.__file__).parent
    modules = [path for path in folder.rglob("*.py") if "import confirm" in path.read_text(encoding="utf-8")]

    assert {" ".join(path.relative_to(folder).with_suffix("").parts) for path in modules} == ASKING


@pytest.mark.parametrize("verb", sorted(ASKING))
def test_what_asks_takes_the_short_and_the_long_option(verb: str) -> None:
    (option,) = (each for each in _command(verb).params if each.name == "yes")

    assert sorted(option.opts) == ["--yes", "-y"]
