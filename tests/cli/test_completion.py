"""`streamix completion`, with what a shell really makes of it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from streamix_queue.core.keys import Keys
from tests.admin.waiting import handled
from tests.support.command import COMMAND, environment, streamix
from tests.support.servers import Server


def bash() -> str:
    """The shell; a test that needs it is skipped without it, and fails in CI."""
    found = shutil.which("bash")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("bash is missing")
        pytest.skip("bash is not installed")
    return found


def completed(folder: Path, *words: str, **variables: str) -> list[str]:
    """What bash offers for the last of ``words``, with what the verb prints in its ~/.bashrc."""
    command = folder / "streamix"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    line = " ".join(map(shlex.quote, words))
    script = (
        'set -e; eval "$(streamix completion bash)"; complete -p streamix >&2\n'
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
        '_streamix_completion streamix; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    env = environment(**variables)
    env["PATH"] = f"{folder}:{env['PATH']}"
    done = subprocess.run(
        [bash(), "--norc", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stderr
    assert "rror" not in done.stderr
    return done.stdout.split()


def test_another_shell_is_wrong_usage() -> None:
    assert streamix("completion", "cmd").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_source(shell: str) -> None:
    ended = streamix("completion", shell)

    assert (ended.code, ended.err) == (0, "")
    assert f"_STREAMIX_COMPLETE={shell}_complete" in ended.out


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["streamix", "resu"], ["resume"]),
        (["streamix", "retries", ""], ["list", "now", "cancel"]),
        (["streamix", "trim", "--dr"], ["--dry-run"]),
        (["streamix", "completion", "z"], ["zsh"]),
        (["streamix", "trim", "-o", "nd"], ["ndjson"]),
        (["streamix", "no such verb", ""], []),
    ],
    ids=str,
)
def test_bash_completes(tmp_path: Path, words: list[str], offered: list[str]) -> None:
    assert completed(tmp_path, *words) == offered


def test_groups_and_events_are_those_in_redis(
    tmp_path: Path, any_server: Server, stream: str, env: dict[str, str]
) -> None:
    with any_server.client() as client:
        handled(client, Keys(stream, "billing"), "order.paid", "order.\x1b[2J")
        handled(client, Keys(stream, "mailer"), "mail.bounced")
        client.xgroup_create(stream, "mailer")

    assert completed(tmp_path, "streamix", "pause", "--group", "b", **env) == ["billing"]
    place = ("--stream", stream, "--redis-url", any_server.url, "--group", "billing")
    assert completed(tmp_path, "streamix", "pause", *place, "or") == ["order.paid"]
    assert completed(tmp_path, "streamix", "resume", "", **env, GROUP="mailer") == ["mail.bounced"]


def test_without_redis_nothing_is_offered_and_nothing_said(tmp_path: Path, nowhere: dict[str, str]) -> None:
    assert completed(tmp_path, "streamix", "pause", "--group", "", **nowhere) == []
