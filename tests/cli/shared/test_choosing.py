"""The same wrong name, or missing one, ends every verb with the same exit code and the same text."""

from __future__ import annotations

import click
import pytest

from streamix_queue.cli.root import streamix as root
from streamix_queue.cli.shared.lazy_group import LazyGroup
from tests.support.command import streamix
from tests.support.servers import Server

# Those that work on one group, with what they need beside it.
OF_ONE_GROUP = [
    ["pending"],
    ["pause"],
    ["pause", "order.placed"],
    ["resume", "order.placed"],
    ["resume", "--all"],
    ["retries", "list"],
    ["retries", "now", "--all", "--yes"],
    ["retries", "now", "5f0c2a4e"],
    ["retries", "cancel", "--all", "--yes"],
]
OF_ANY_GROUP = [
    ["consumers"],
    ["lag"],
    ["top", "--once"],
    ["dlq", "ls"],
    ["dlq", "stats"],
    ["dlq", "export"],
    ["dlq", "purge", "--all"],
    ["dlq", "replay", "--all"],
    ["dlq", "replay", "1-0"],
    ["dlq", "replay", "--all", "--ungrouped"],
]
# `publish` creates the group, and `config show` asks no Redis.
NO_LOOK_UP = {"publish", "config show"}


def _with_group_option(group: LazyGroup, before: str = "") -> set[str]:
    found: set[str] = set()
    for name, verb in group.verbs.items():
        command, full = verb.load(), f"{before} {name}".strip()
        if isinstance(command, LazyGroup):
            found |= _with_group_option(command, full)
        elif any(isinstance(each, click.Option) and "--group" in each.opts for each in command.params):
            found.add(full)
    return found


def test_every_verb_with_a_group_is_judged_here() -> None:
    """Fails when a verb is added that finds its group in a way of its own."""
    assert isinstance(root, LazyGroup)
    judged = {" ".join(words[:2] if words[0] in ("dlq", "retries") else words[:1]) for words in OF_ONE_GROUP}
    judged |= {" ".join(words[:2] if words[0] == "dlq" else words[:1]) for words in OF_ANY_GROUP}

    assert judged | NO_LOOK_UP == _with_group_option(root)


@pytest.mark.parametrize("words", OF_ONE_GROUP, ids=" ".join)
@pytest.mark.parametrize("exists", [False, True], ids=["no stream", "no groups"])
def test_a_stream_without_groups_is_not_found(
    any_server: Server, env: dict[str, str], stream: str, words: list[str], exists: bool
) -> None:
    if exists:
        any_server.client().xadd(stream, {"message": "{}"})

    ended = streamix(*words, env=env)

    advice = "  Another stream is named by --stream or STREAMIX_STREAM.\n"
    assert (ended.code, ended.out) == (5, "")
    assert ended.err == f"streamix: stream {stream!r} has no groups\n{advice}"


@pytest.mark.parametrize("check", [["--fail-over", "10"], ["--fail-age", "5m"]], ids=" ".join)
@pytest.mark.parametrize("watch", [[], ["--watch"]], ids=["once", "watch"])
def test_a_check_of_a_stream_without_groups_does_not_pass(
    env: dict[str, str], stream: str, check: list[str], watch: list[str]
) -> None:
    """Fails when the check of a stream whose name is mistyped is one that always holds."""
    ended = streamix("lag", *check, *watch, env=env)

    assert (ended.code, ended.out) == (5, "")
    assert f"stream {stream!r} has no groups" in ended.err


@pytest.mark.parametrize("words", OF_ONE_GROUP, ids=" ".join)
def test_of_several_groups_one_has_to_be_named(
    any_server: Server, env: dict[str, str], stream: str, words: list[str]
) -> None:
    for group in ("billing", "mailer"):
        any_server.client().xgroup_create(stream, group, mkstream=True)

    ended = streamix(*words, env=env)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "streamix: say with --group which group\n  The groups: billing, mailer\n"


@pytest.mark.parametrize("words", [*OF_ONE_GROUP, *OF_ANY_GROUP], ids=" ".join)
def test_an_unknown_group_is_not_found_and_one_like_it_is_offered(
    any_server: Server, env: dict[str, str], stream: str, words: list[str]
) -> None:
    any_server.client().xgroup_create(stream, "billing", mkstream=True)

    ended = streamix(*words, "--group", "biling", env=env)

    assert (ended.code, ended.out) == (5, "")
    assert ended.err == "streamix: the stream has no group 'biling'\n  Did you mean 'billing'?\n"
