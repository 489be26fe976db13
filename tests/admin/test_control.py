"""`Control`: pauses, retention and waiting retries, on every kind of server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
import redis

from streamix_queue import Publisher
from streamix_queue.admin import Admin, Control
from streamix_queue.core.errors import BrokerUnavailable, ConfigError, InvalidMessage, WrongKeyType
from streamix_queue.core.keys import Keys
from tests.admin.services import Service, running
from tests.admin.waiting import EVENT, FAR_MS, GROUP, TRACE, handled, letters_of, payload_of, put_retry
from tests.support.members import eventually
from tests.support.servers import Server


@pytest.fixture
def keys(stream: str) -> Keys:
    return Keys(stream, GROUP)


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
def control(server: Server, stream: str) -> Iterator[Control]:
    with Control(server.url, stream) as control:
        yield control


# --- what goes wrong ------------------------------------------------------------------------------


def test_options_out_of_range_are_told_at_the_call() -> None:
    for wrong in ({"redis_url": ""}, {"stream": ""}, {"timeout_ms": 0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Control(**wrong)
    with Control() as control:
        with pytest.raises(ConfigError, match="keep_ms"):
            control.trim(keep_ms=-1)
        with pytest.raises(ConfigError, match="look_at"):
            control.retries("g", look_at=-1)
        with pytest.raises(InvalidMessage):
            control.pause("g", "")


def test_redis_that_is_not_there_is_a_typed_error() -> None:
    with Control("redis://127.0.0.1:1/0") as control, pytest.raises(BrokerUnavailable):
        control.paused("g")


def test_a_stream_that_is_not_there_has_nothing(control: Control) -> None:
    assert control.groups() == []
    assert control.events(GROUP) == []
    assert control.paused(GROUP) == {}
    assert list(control.retries(GROUP)) == []
    report = control.trim()
    assert (report.removed, report.floor, report.left) == (0, "", 0)


def test_a_key_of_another_type_is_told(control: Control, client: redis.Redis, keys: Keys) -> None:
    client.set(keys.delayed, "x")
    client.set(keys.stream, "x")

    with pytest.raises(WrongKeyType):
        list(control.retries(GROUP))
    with pytest.raises(WrongKeyType):
        control.groups()


# --- pauses ---------------------------------------------------------------------------------------


def test_a_paused_event_waits_and_goes_on_when_it_is_resumed(
    control: Control, server: Server, stream: str
) -> None:
    service = Service(server.url, stream, GROUP)
    before = datetime.now(timezone.utc).timestamp()
    with Publisher(server.url, stream) as publisher:
        assert control.pause(GROUP, EVENT, "other") == 2
        assert control.pause(GROUP, EVENT) == 0
        with running(service):
            publisher.publish(EVENT, {"n": 1})
            eventually(lambda: control.events(GROUP) == [EVENT], what="a member is there")
            assert list(control.paused(GROUP)) == [EVENT, "other"]
            assert abs(control.paused(GROUP)[EVENT].timestamp() - before) < 60
            assert service.handler.calls == []
            assert control.resume(GROUP, EVENT, "never") == 1
            service.handler.wait_for(1)
    assert list(control.paused(GROUP)) == ["other"]


# --- retries --------------------------------------------------------------------------------------


def test_waiting_retries_are_told_the_next_due_first(
    control: Control, client: redis.Redis, keys: Keys
) -> None:
    put_retry(client, keys, "late", due_ms=FAR_MS + 1)
    put_retry(client, keys, "soon", event="other")

    soon, late = control.retries(GROUP)

    assert (soon.message_id, soon.event, soon.due_ms, soon.retries) == ("soon", "other", FAR_MS, 2)
    assert (soon.source_id, soon.attempts[-1].error) == ("7-0", "the network is silent")
    assert late.message_id == "late"
    assert [retry.message_id for retry in control.retries(GROUP, event=EVENT)] == ["late"]
    assert control.count_retries(GROUP) == 2


def test_pages_miss_nothing_and_repeat_nothing_when_many_are_due_at_once(
    control: Control, client: redis.Redis, keys: Keys
) -> None:
    for n in range(120):
        put_retry(client, keys, f"m{n}", due_ms=FAR_MS + n // 75)

    found = [retry.message_id for retry in control.retries(GROUP)]

    assert len(found) == 120
    assert set(found) == {f"m{n}" for n in range(120)}
    assert len(list(control.retries(GROUP, look_at=70))) == 70


@pytest.mark.parametrize("score", ["-inf", "inf", "-5", "1e300", "1.5"])
def test_due_times_that_cannot_be_are_no_error(
    control: Control, client: redis.Redis, keys: Keys, score: str
) -> None:
    member = put_retry(client, keys, "m")
    client.zadd(keys.delayed, {member: score})

    (retry,) = control.retries(GROUP)

    assert 1970 <= datetime.fromtimestamp(retry.due_ms / 1000, timezone.utc).year <= 9999


def test_a_retry_that_runs_now_keeps_its_place_and_its_payload(
    control: Control, client: redis.Redis, keys: Keys, server: Server, stream: str
) -> None:
    service = Service(server.url, stream, GROUP)
    put_retry(client, keys, "mine")
    put_retry(client, keys, "other", n=2)
    with running(service):
        chosen = [retry for retry in control.retries(GROUP) if retry.message_id == "mine"]
        assert control.run_now(GROUP, chosen) == chosen
        (call,) = service.handler.wait_for(1)
        eventually(lambda: control.count_retries(GROUP) == 1, what="it left the delayed set")
        assert control.run_now(GROUP, chosen) == []
    assert (call.message.id, call.message.retries, call.data) == ("mine", 2, {"n": 1})
    assert [retry.message_id for retry in control.retries(GROUP)] == ["other"]


def test_one_that_is_due_keeps_its_due_time(control: Control, client: redis.Redis, keys: Keys) -> None:
    member = put_retry(client, keys, "due", due_ms=1000)

    assert len(control.run_now(GROUP, control.retries(GROUP))) == 1
    assert client.zscore(keys.delayed, member) == 1000


def test_a_cancelled_retry_is_a_dead_letter_that_can_be_replayed(
    control: Control, client: redis.Redis, keys: Keys, server: Server, stream: str
) -> None:
    put_retry(client, keys, "mine", text="ü\x00")
    handled(client, keys)
    client.zadd(keys.handlers, {EVENT: FAR_MS})

    (retry,) = control.retries(GROUP)
    (ended,) = control.cancel(GROUP, [retry])

    assert (ended.there, ended.retry) == (True, retry)
    assert client.zcard(keys.delayed) == 0
    ((letter_id, fields),) = letters_of(client, keys)
    assert ended.letter_id == letter_id.decode()
    assert fields[TRACE[0]] == TRACE[1]
    data = payload_of(fields)
    assert (data["original_id"], data["original_data"]) == ("mine", {"n": 1, "text": "ü\x00"})
    assert (data["group"], data["reason"], data["error_type"]) == (GROUP, "rejected", "Cancelled")
    assert (data["retries"], data["source_stream_id"], len(data["attempts"])) == (2, "7-0", 1)
    with Admin(server.url, stream) as admin:
        assert len(admin.replay([ended.letter_id]).replayed) == 1
    (again,) = control.cancel(GROUP, [retry])
    assert (again.there, again.letter_id) == (False, "")
    assert client.xlen(keys.failed) == 0


def test_many_that_are_due_at_once_are_all_cancelled(
    control: Control, client: redis.Redis, keys: Keys
) -> None:
    for n in range(120):
        put_retry(client, keys, f"m{n}")

    assert all(ended.there for ended in control.cancel(GROUP, control.retries(GROUP)))
    assert (client.zcard(keys.delayed), client.xlen(keys.failed)) == (0, 120)


def test_a_dropped_retry_is_gone_for_good(control: Control, client: redis.Redis, keys: Keys) -> None:
    put_retry(client, keys, "mine")

    (ended,) = control.cancel(GROUP, control.retries(GROUP), drop=True)

    assert (ended.there, ended.letter_id) == (True, "")
    assert (client.zcard(keys.delayed), client.exists(keys.failed)) == (0, 0)


@pytest.mark.parametrize("member", [b"", b"\x00\x00", b"\xff" * 9, b"\x00\x00\x00\x01a"])
def test_a_member_that_cannot_be_read_is_shown_and_can_be_cancelled(
    control: Control, client: redis.Redis, keys: Keys, member: bytes
) -> None:
    client.zadd(keys.delayed, {member: FAR_MS})

    (retry,) = control.retries(GROUP)
    list(control.cancel(GROUP, [retry]))

    assert (retry.message_id, retry.event) == ("", "unknown")
    ((_, fields),) = letters_of(client, keys)
    assert fields[b"raw.member"] == member
    assert payload_of(fields)["reason"] == "malformed"


def test_a_letter_that_cannot_be_written_leaves_the_retry(
    control: Control, client: redis.Redis, keys: Keys
) -> None:
    put_retry(client, keys, "mine")
    client.set(keys.failed, "no stream")

    with pytest.raises(WrongKeyType):
        list(control.cancel(GROUP, control.retries(GROUP)))
    assert client.zcard(keys.delayed) == 1
