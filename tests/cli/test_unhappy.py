"""What every verb owes its user when things go wrong, held for each verb that there is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

from streamix_queue.cli.root import streamix as root
from streamix_queue.cli.shared.lazy_group import LazyGroup
from tests.support.command import COMMAND, environment, streamix
from tests.support.servers import Server

# What a verb needs beside its name to get as far as Redis.
ARGUMENTS = {
    "publish": ["order.placed", "{}"],
    "show": ["1713982500001-0"],
    "top": ["--once"],
    "pause": ["order.placed", "--group", "billing"],
    "resume": ["order.placed", "--group", "billing"],
    "trim": ["--yes"],
    "dlq show": ["1713982500001-0"],
    "dlq replay": ["1713982500001-0"],
    "dlq purge": ["--all", "--yes"],
    "retries list": ["--group", "billing"],
    "retries now": ["--all", "--group", "billing", "--yes"],
    "retries cancel": ["--all", "--group", "billing", "--yes"],
}
# Verbs that ask no Redis, or the application that they are given.
WITHOUT_REDIS = {"demo", "server", "run", "health", "completion", "version", "config show"}


def _verbs(group: click.Group, before: str = "") -> list[str]:
    found: list[str] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        full = f"{before} {name}".strip()
        found += _verbs(command, full) if isinstance(command, LazyGroup) else [full]
    return found


ALL = _verbs(root)
ASKING = [verb for verb in ALL if verb not in WITHOUT_REDIS]


def _words(verb: str) -> list[str]:
    return [*verb.split(), *ARGUMENTS.get(verb, [])]


def test_the_tables_speak_of_verbs_that_there_are() -> None:
    assert set(ARGUMENTS) | WITHOUT_REDIS <= set(ALL)


@pytest.mark.parametrize("verb", ASKING)
def test_a_redis_that_is_not_there_is_told_with_what_to_do_next(verb: str, nowhere: dict[str, str]) -> None:
    """Fails when an error reaches the terminal as a traceback, or when it shows the password."""
    ended = streamix(*_words(verb), env=nowhere)

    assert ended.code == 3, ended
    assert ended.out == ""
    assert "cannot reach Redis" in ended.err
    assert "127.0.0.1:1" in ended.err
    assert "streamix server" in ended.err
    assert "Traceback" not in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize("verb", ASKING)
def test_a_reader_that_has_seen_enough_is_met_with_silence(verb: str, env: dict[str, str]) -> None:
    """Fails when a broken pipe ends in a traceback, here or at the end of the process."""
    process = subprocess.Popen(
        [*COMMAND, *_words(verb), *([] if verb == "dlq export" else ["-o", "json"])],
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()

    # Nothing to show is no output, and so no broken pipe.
    assert process.wait(30) in (0, 1, 5, 141), err
    assert "Traceback" not in err
    assert "Broken" not in err


def test_every_verb_shows_an_example_or_needs_none() -> None:
    for verb in ALL:
        command: click.Command = root
        context = click.Context(root, info_name="streamix")
        for word in verb.split():
            assert isinstance(command, click.Group)
            found = command.get_command(context, word)
            assert found is not None
            command, context = found, click.Context(found, info_name=word, parent=context)
        has_example = "Example" in command.get_help(context)
        assert has_example or verb in ("version", "config show", "completion", "demo", "server"), verb


def test_a_password_on_the_command_line_is_in_no_output(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a verb shows the URL that it was given."""
    url = any_server.url.replace("redis://", "redis://default:hunter2@")
    for verb in (*ASKING, "config show"):
        ended = streamix(*_words(verb), "--redis-url", url, "--stream", stream, cwd=tmp_path)
        assert "hunter2" not in ended.out + ended.err, verb
