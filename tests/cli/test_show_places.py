"""`streamix show`: one message, wherever it is, and what became of it in each group."""

from __future__ import annotations

import json
import sys

import pytest
import redis

from streamix_queue import Consumer, Publisher
from streamix_queue.admin import Admin
from streamix_queue.core.keys import Keys
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.admin.waiting import handled, put_retry
from tests.cli.stories import TRACE_ID, UUID, add, only_id, put_in_inbox, states, told
from tests.support.command import streamix
from tests.support.members import Handler, eventually, member
from tests.support.servers import Server


@pytest.fixture
def client(any_server: Server) -> redis.Redis:
    return any_server.client()


def test_a_message_is_told_for_each_group_on_every_server(server: Server, stream: str) -> None:
    env = {"STREAMIX_REDIS_URL": server.url, "STREAMIX_STREAM": stream}
    client, keys = server.client(), Keys(stream, "retrying")

    def fail(*_: object) -> None:
        raise TimeoutError("the network is silent")

    later = {"retry_limit": 3, "backoff_base_ms": 3_600_000, "backoff_max_ms": 3_600_000, "backoff_jitter": 0}
    retrying: Consumer = member(server.url, stream, "retrying", **later)
    retrying.on(EVENT, Handler(fail))
    fine = Service(server.url, stream, "fine")
    with Admin(server.url, stream) as admin, Publisher(server.url, stream) as publisher:
        message_id = publisher.publish(EVENT, {"n": 42}).id
        client.xgroup_create(stream, "behind", id="0")
        client.xgroup_create(stream, "slow", id="0")
        client.xreadgroup("slow", "w1", {stream: ">"})
        with running(Service(server.url, stream, "broken", broken=True), fine), retrying:
            (letter,) = letters(admin, 1)
            fine.handler.wait_for(1)
            eventually(lambda: client.zcard(keys.delayed) == 1, what="a retry that waits")
        eventually(lambda: client.xpending(stream, "fine")["pending"] == 0, what="an acknowledgement")
    entry_id = only_id(client, stream)

    story = told(message_id, env=env)

    for asked in (entry_id, letter.id):
        assert (told(asked, env=env) | {"asked": 0})["message_id"] == message_id
        assert states(told(asked, env=env)) == states(story)
    assert states(story) == {
        "behind": "undelivered",
        "broken": "dead",
        "fine": "handled",
        "retrying": "delayed",
        "slow": "pending",
    }
    assert (story["entry_id"], story["on_stream"], story["data"]) == (entry_id, True, {"n": 42})
    place = {group["group"]: (group["places"] or [None])[0] for group in story["groups"]}
    assert (place["slow"]["consumer"], place["slow"]["deliveries"]) == ("w1", 1)
    assert 0 <= place["slow"]["idle_s"] < 60
    assert (place["broken"]["id"], place["broken"]["reason"]) == (letter.id, letter.reason)
    assert place["broken"]["error"] == "{'n': 42} does not suit us"
    assert place["retrying"]["due_at"].startswith("20")
    (attempt,) = place["retrying"]["attempts"]
    assert (attempt["error_type"], attempt["error"]) == ("TimeoutError", "the network is silent")
    assert attempt["consumer"]
    assert attempt["at"].startswith("20")


def test_a_replayed_message_is_in_the_inbox_of_its_group(
    any_server: Server, env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    keys = Keys(stream, "billing")
    with Admin(any_server.url, stream) as admin, Publisher(any_server.url, stream) as publisher:
        message_id = publisher.publish(EVENT, {"n": 1}).id
        with running(Service(any_server.url, stream, "billing", broken=True)):
            (letter,) = letters(admin, 1)
        admin.replay([letter.id])
    inbox_id = only_id(client, keys.inbox(EVENT))

    (billing,) = told(message_id, env=env)["groups"]
    assert billing["state"] == "waiting"
    (place,) = billing["places"]
    assert (place["id"], place["inbox_of"], place["replays"]) == (inbox_id, EVENT, 1)
    assert place["attempts"][0]["error"] == "{'n': 1} does not suit us"

    client.xreadgroup("billing", "w7", {keys.inbox(EVENT): ">"})
    story = told(inbox_id, env=env)  # as `streamix pending` shows it
    (billing,) = story["groups"]
    assert story["message_id"] == message_id
    assert (billing["state"], billing["places"][0]["consumer"]) == ("pending", "w7")
    assert "in the inbox of order.placed, held by w7" in streamix("show", message_id, env=env).out


def test_a_message_beyond_the_window_is_found_by_the_retry_that_waits(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    add(client, stream, "7-0", n=42)  # of which `put_retry` says that it came
    for n in range(8, 12):
        add(client, stream, f"{n}-0", "another")
    keys = Keys(stream, "billing")
    handled(client, keys)
    client.xreadgroup("billing", "w1", {stream: ">"}, count=1)
    put_retry(client, keys, UUID)

    story = told(UUID, "--scan", "2", env=env)

    assert (story["entry_id"], story["on_stream"], story["data"]) == ("7-0", True, {"n": 42})
    (billing,) = story["groups"]
    assert [place["state"] for place in billing["places"]] == ["pending", "delayed"]


def test_an_inbox_entry_is_found_by_its_id_however_far_it_is_down(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    keys = Keys(stream, "billing")
    handled(client, keys)
    inbox_id = put_in_inbox(client, keys, "7-0")
    for n in range(3):
        put_in_inbox(client, keys, f"8-{n}", f"another {n}")

    ended = streamix("show", inbox_id, "--scan", "2", "-o", "json", env=env)

    story = json.loads(ended.out)
    assert (story["message_id"], story["entry_id"]) == (UUID, "7-0")
    assert [place["id"] for place in story["groups"][0]["places"]] == [inbox_id]
    assert "Looked at 2 only of the inboxes of group 'billing'" in ended.err
    assert streamix("show", UUID, "--scan", "2", env=env).code == 5


def test_it_looks_without_loading_the_telemetry(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    add(client, stream, "5-0")
    code = (
        "import sys\n"
        "from streamix_queue.cli import main\n"
        "assert main(['show', '5-0']) == 0\n"
        "heavy = {'prometheus_client', 'structlog', 'streamix_telemetry'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )

    assert "LOADED []" in streamix(env=env, command=[sys.executable, "-W", "error", "-c", code]).err


@pytest.mark.parametrize("asked", ["entry", "message"])
def test_a_trimmed_message_that_is_known_elsewhere_is_told_as_trimmed(
    env: dict[str, str], client: redis.Redis, stream: str, asked: str
) -> None:
    keys, entry_id = Keys(stream, "billing"), add(client, stream)
    handled(client, keys)
    client.xgroup_create(stream, "mailer", id="0")
    client.xreadgroup("billing", "w1", {stream: ">"})
    client.xgroup_create(keys.inbox(EVENT), "billing", id="0", mkstream=True)
    put_in_inbox(client, keys, entry_id)
    client.xack(stream, "billing", entry_id)
    client.xdel(stream, entry_id)

    story = told(entry_id if asked == "entry" else UUID, env=env)

    assert (story["entry_id"], story["on_stream"], story["message_id"]) == (entry_id, False, UUID)
    assert story["data"] == {"n": 1}
    assert story["trace_id"] == TRACE_ID
    assert states(story) == {"billing": "waiting", "mailer": "lost"}
    assert "trimmed or deleted, not on the stream" in streamix("show", UUID, env=env).out


def test_a_pending_entry_that_was_trimmed_is_found_by_its_id(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    entry_id = add(client, stream)
    client.xgroup_create(stream, "billing", id="0")
    client.xreadgroup("billing", "w1", {stream: ">"})
    client.xdel(stream, entry_id)

    story = told(entry_id, env=env)

    assert (story["on_stream"], story["data"], story["message_id"]) == (False, None, None)
    assert states(story) == {"billing": "pending"}
    assert "It is not there any more." in streamix("show", entry_id, env=env).out


def test_a_dead_letter_of_0_1_0_is_of_no_group(env: dict[str, str], client: redis.Redis, stream: str) -> None:
    letter_id = letter_of_0_1_0(client, stream, "1-0", {"n": 3})

    story = told(letter_id, env=env)

    assert (story["entry_id"], story["on_stream"], story["data"]) == ("1-0", False, {"n": 3})
    assert states(story) == {None: "dead"}
    assert "no such user" in streamix("show", "1-0", env=env).out


def test_a_message_that_was_published_twice_tells_of_both_entries(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    for n in (1, 2):
        add(client, stream, f"{n}-0")
    client.xgroup_create(stream, "billing", id="0")
    client.xreadgroup("billing", "w1", {stream: ">"}, count=1)

    story = told(UUID, env=env)

    assert (story["entry_id"], story["other_entries"]) == ("2-0", ["1-0"])
    assert states(story) == {"billing": "pending"}
    assert states(told("2-0", env=env)) == {"billing": "undelivered"}


def test_an_id_that_is_also_that_of_a_dead_letter_is_told(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    letter_id = letter_of_0_1_0(client, stream, "1-0", {"n": 3})
    add(client, stream, letter_id)

    ended = streamix("show", letter_id, "-o", "ndjson", env=env)

    assert json.loads(ended.out)["message_id"] == UUID
    assert f"streamix dlq show {letter_id}" in ended.err
