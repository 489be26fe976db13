"""`streamix pause` and `streamix resume`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from streamix_queue.admin import Control
from streamix_queue.core.keys import Keys
from tests.admin.waiting import handled
from tests.support.command import streamix
from tests.support.servers import Server


@pytest.fixture
def control(any_server: Server, stream: str) -> Iterator[Control]:
    """Of a stream with the group billing, which handles two events."""
    with any_server.client() as client, Control(any_server.url, stream) as control:
        handled(client, Keys(stream, "billing"), "order.placed", "order.paid")
        yield control


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_group_or_event_is_not_found_and_one_like_it_is_offered(
    env: dict[str, str], control: Control, verb: str
) -> None:
    ended = streamix(verb, "order.placed", "--group", "biling", env=env)
    assert (ended.code, ended.out) == (5, "")
    assert "Did you mean 'billing'?" in ended.err

    ended = streamix(verb, "order.payd", env=env)
    assert (ended.code, ended.out) == (5, "")
    assert "Did you mean 'order.paid'?" in ended.err

    ended = streamix(verb, "zzz", env=env)
    assert ended.code == 5
    assert "order.paid, order.placed" in ended.err
    assert control.paused("billing") == {}


def test_of_several_groups_one_has_to_be_named(
    env: dict[str, str], control: Control, any_server: Server, stream: str
) -> None:
    with any_server.client() as client:
        client.xgroup_create(stream, "mailer")

    ended = streamix("pause", "order.paid", env=env)

    assert ended.code == 2
    assert "billing, mailer" in ended.err
    assert control.paused("billing") == {}


@pytest.mark.parametrize("wrong", [[], ["order.paid", "--all"]], ids=str)
def test_resume_takes_events_or_all(env: dict[str, str], control: Control, wrong: list[str]) -> None:
    assert streamix("resume", *wrong, env=env).code == 2


def test_an_event_is_paused_and_resumed(env: dict[str, str], control: Control) -> None:
    ended = streamix("pause", "order.paid", env=env)

    assert (ended.code, ended.err) == (0, "Paused 1.\n")
    assert ended.out.split()[-3:-1] == ["billing", "order.paid"]
    assert list(control.paused("billing")) == ["order.paid"]
    assert "1 were paused before" in streamix("pause", "order.paid", "order.placed", env=env).err

    ended = streamix("resume", "order.paid", "--group", "billing", env=env)

    assert (ended.code, ended.err) == (0, "Resumed 1.\n")
    assert list(control.paused("billing")) == ["order.placed"]


def test_json_tells_since_when_and_what_was_resumed(env: dict[str, str], control: Control) -> None:
    assert json.loads(streamix("pause", "-o", "json", env=env).out) == []
    (line,) = json.loads(streamix("pause", "order.paid", "-o", "json", env=env).out)
    assert (line["group"], line["event"], line["since"][:2]) == ("billing", "order.paid", "20")
    assert json.loads(streamix("pause", "-o", "ndjson", env=env).out) == line

    lines = streamix("resume", "order.paid", "order.placed", "-o", "ndjson", env=env).out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["resumed", "was not paused"]


def test_force_pauses_what_nobody_handles_yet_and_all_resumes_it(
    env: dict[str, str], control: Control
) -> None:
    assert streamix("pause", "new\x1b[2J", "order.paid", "--force", env=env).code == 0
    listed = streamix("pause", env=env)
    assert "new\\x1b[2J" in listed.out
    assert listed.err == ""

    ended = streamix("resume", "--all", env=env)

    assert (ended.code, ended.err) == (0, "Resumed 2.\n")
    assert control.paused("billing") == {}
    assert streamix("pause", env=env).err == "Nothing is paused.\n"
