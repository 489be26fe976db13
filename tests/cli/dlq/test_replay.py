"""`streamix dlq replay`: what it is asked for, to where it failed, and only when somebody is sure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.command import streamix
from tests.support.servers import Server


@pytest.fixture
def billing(any_server: Server, stream: str) -> Service:
    """A service that is mended after it dead-lettered three messages, and is stopped."""
    service = Service(any_server.url, stream, "billing", broken=True)
    with Publisher(any_server.url, stream) as publisher, Admin(any_server.url, stream) as admin:
        publisher.publish_many((EVENT, {"n": n}) for n in range(3))
        with running(service):
            letters(admin, 3)
    return Service(any_server.url, stream, "billing")


@pytest.fixture
def failed(any_server: Server, stream: str, billing: Service) -> list[str]:
    """The ids of its dead letters."""
    with Admin(any_server.url, stream) as admin:
        return [letter.id for letter in admin.dead_letters()]


def left(server: Server, stream: str) -> list[str]:
    with Admin(server.url, stream) as admin:
        return [letter.id for letter in admin.dead_letters()]


# --- what goes wrong ------------------------------------------------------------------------------


def test_redis_that_is_not_there_is_told(nowhere: dict[str, str]) -> None:
    ended = streamix("dlq", "replay", "--all", "--yes", env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "cannot reach Redis" in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [[], ["--all", "1-0"], ["--event", EVENT], ["1-0", "--limit", "1"], ["1-0", "--reason", "crash"],
     ["--all", "--ungrouped"], ["one"], ["1-0", "--limit", "0"]],
    ids=str,
)  # fmt: skip
def test_what_is_not_clear_is_wrong_usage(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], arguments: list[str]
) -> None:
    ended = streamix("dlq", "replay", *arguments, "--yes", env=env)

    assert (ended.code, ended.out) == (2, "")
    assert left(any_server, stream) == failed


@pytest.mark.parametrize("arguments", [["--all"], None], ids=["all", "by id"])
def test_off_a_terminal_nothing_is_replayed_without_yes(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], arguments: list[str] | None
) -> None:
    ended = streamix("dlq", "replay", *(arguments or failed), env=env)

    assert (ended.code, ended.out) == (6, "")
    assert "3 of 3" in ended.err
    assert f"3 × {EVENT} to group billing" in ended.err
    assert "--yes" in ended.err
    assert left(any_server, stream) == failed


def test_an_unknown_id_is_not_found_and_the_others_are_replayed(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix("dlq", "replay", "1-1", failed[1], "--yes", "-o", "json", env=env)

    assert ended.code == 5
    assert "Not found: 1-1" in ended.err
    assert [(line["id"], line["status"]) for line in json.loads(ended.out)] == [
        ("1-1", "not found"),
        (failed[1], "replayed"),
    ]
    assert left(any_server, stream) == [failed[0], failed[2]]


@pytest.mark.parametrize("yes", [["--yes"], []])
def test_an_unknown_id_alone_needs_nobody_to_be_sure(
    env: dict[str, str], failed: list[str], yes: list[str]
) -> None:
    assert streamix("dlq", "replay", "1-1", *yes, env=env).code == 5


def test_an_unknown_group_is_not_found(env: dict[str, str], failed: list[str]) -> None:
    ended = streamix("dlq", "replay", "--all", "--group", "biling", "--yes", env=env)

    assert ended.code == 5
    assert "'billing'" in ended.err


def test_what_cannot_be_replayed_is_told_with_its_reason_and_stays(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    bad: Any = any_server.client().xadd(f"{stream}:failed", {"message": "\x1b[31m"})

    ended = streamix("dlq", "replay", "--all", "--yes", env=env)

    assert ended.code == 1
    assert f"Not replayed: {bad.decode()}: it is no dead letter" in ended.err
    assert "Replayed 3 of 4." in ended.err
    assert left(any_server, stream) == [bad.decode()]


def test_what_0_1_0_wrote_needs_its_group(
    any_server: Server, env: dict[str, str], stream: str, billing: Service
) -> None:
    letter_id = letter_of_0_1_0(any_server.client(), stream, "1-0", {"n": 7})
    ended = streamix("dlq", "replay", letter_id, "--yes", env=env)
    assert ended.code == 1
    assert "names no group" in ended.err

    by_id = streamix("dlq", "replay", letter_id, "--group", "billing", "--yes", env=env)

    assert by_id.code == 0
    letter_of_0_1_0(any_server.client(), stream, "1-0", {"n": 8})
    everything = ["dlq", "replay", "--all", "--ungrouped", "--group", "billing", "--yes"]
    assert streamix(*everything, env=env).code == 0
    assert len(left(any_server, stream)) == 3, "those that have a group were not meant"
    with running(billing):
        billing.handler.wait_for(2)
    assert billing.handler.values() == [7, 8]


# --- what goes right ------------------------------------------------------------------------------


def test_replaying_nothing_is_no_error(env: dict[str, str]) -> None:
    ended = streamix("dlq", "replay", "--all", "--yes", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "No dead letters match.\n")


def test_a_dry_run_tells_and_writes_nothing(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix("dlq", "replay", "--all", "--dry-run", "-o", "ndjson", env=env)

    assert (ended.code, ended.err) == (0, "Would replay 3 of 3.\n")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [(line["id"], line["status"]) for line in lines] == [(i, "would be replayed") for i in failed]
    assert left(any_server, stream) == failed


def test_a_replay_reaches_the_failing_group_only_with_the_ids_it_names(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], billing: Service
) -> None:
    mailer = Service(any_server.url, stream, "mailer")
    with running(mailer):
        mailer.handler.wait_for(3)
        ended = streamix("dlq", "replay", failed[0], failed[2], "--yes", "-o", "json", env=env)

        assert (ended.code, ended.err) == (0, "Replayed 2 of 2.\n")
        lines = json.loads(ended.out)
        assert [(line["id"], line["group"], line["event"]) for line in lines] == [
            (failed[0], "billing", EVENT),
            (failed[2], "billing", EVENT),
        ]
        with running(billing):
            calls = billing.handler.wait_for(2)
        assert sorted(call.message.id for call in calls) == sorted(line["message_id"] for line in lines)
        assert left(any_server, stream) == [failed[1]]
    assert sorted(mailer.handler.values()) == [0, 1, 2], "another group sees nothing of it"


def test_the_table_shows_what_became_of_each(env: dict[str, str], failed: list[str]) -> None:
    ended = streamix("dlq", "replay", "--all", "--limit", "2", "--yes", env=env)

    assert (ended.code, ended.err) == (0, "Replayed 2 of 2.\n")
    heading, *rows = ended.out.splitlines()
    assert heading.split() == ["ID", "STATUS", "GROUP", "EVENT", "MESSAGE"]
    assert [row.split()[:4] for row in rows] == [[i, "replayed", "billing", EVENT] for i in failed[:2]]


def test_all_selects_by_group_event_and_reason(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    def replay(*options: str) -> int:
        assert streamix("dlq", "replay", "--all", "--yes", *options, env=env).code == 0
        return len(left(any_server, stream))

    assert replay("--event", "other") == 3
    assert replay("--reason", "crash") == 3
    assert replay("--group", "billing", "--event", EVENT, "--reason", "retries_exhausted") == 0


def test_what_nobody_handles_is_replayed_only_on_demand(
    any_server: Server, env: dict[str, str], stream: str
) -> None:
    any_server.client().xgroup_create(stream, "billing", id="0", mkstream=True)
    letter_id = letter_of_0_1_0(any_server.client(), stream, "1-0", {})
    command = ["dlq", "replay", letter_id, "--group", "billing", "--yes"]

    refused = streamix(*command, env=env)
    assert refused.code == 1
    assert f"no member of group 'billing' handles '{EVENT}'" in refused.err

    assert streamix(*command, "--unhandled", env=env).code == 0
    assert left(any_server, stream) == []
