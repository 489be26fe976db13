"""`streamix doctor`: each planted fault is found, and is not found where it was not planted."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from streamix_queue import Consumer
from streamix_queue.admin.doctor import DoctorFacts, diagnose
from streamix_queue.core.acl_probes import probes
from tests.support.command import streamix
from tests.support.members import eventually
from tests.support.old_release import OldRelease
from tests.support.servers import Server

HOUR_MS = 3_600_000
SILENT = ["--dead-after", "500ms"]
old = OldRelease()
Planter = Callable[[redis.Redis, str], object]


def look(server: Server, stream: str, *options: str, url: str = "") -> dict[str, dict[str, str]]:
    """The findings that are no mere remark, by their id."""
    ended = streamix("doctor", "--redis-url", url or server.url, "--stream", stream, "-o", "json", *options)
    assert ended.code in (0, 1), ended.err
    return {f["id"]: f for f in json.loads(ended.out) if f["severity"] in ("warn", "fail")}


@pytest.fixture
def sound(start_server: Callable[..., Server], stream: str) -> Iterator[Server]:
    """A server with nothing wrong, and a consumer of this release on it."""
    server = start_server(appendonly=True)
    consumer = Consumer(redis_url=server.url, stream=stream, group="g")
    consumer.on("thing", lambda data: None)
    with server.client() as client, consumer:
        eventually(lambda: bool(client.exists(stream)) and bool(client.xinfo_consumers(stream, "g")))
        yield server


def run(client: redis.Redis, line: str) -> None:
    program, *command = shlex.split(line)
    assert program == "redis-cli"
    client.execute_command(*command)  # type: ignore[no-untyped-call]


# --- what is planted ------------------------------------------------------------------------------


def without_aof(client: redis.Redis, stream: str) -> None:
    client.config_set("appendonly", "no")


def evicting(client: redis.Redis, stream: str) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")


def a_group_nobody_reads_for(client: redis.Redis, stream: str) -> None:
    client.xgroup_create(stream, "idle", "$")


def a_key_of_another_type(client: redis.Redis, stream: str) -> None:
    client.set(f"{stream}:g:delayed", "x")


def an_entry_of_the_future(client: redis.Redis, stream: str) -> None:
    seconds, _ = client.time()
    client.xadd(stream, {"message": "x"}, id=f"{(seconds + 3600) * 1000}-0")


FAULTS = [
    pytest.param(without_aof, "persistence", "warn", True, id="no AOF"),
    pytest.param(evicting, "eviction", "fail", True, id="allkeys-lru"),
    pytest.param(a_group_nobody_reads_for, "no_consumer", "warn", False, id="no consumer"),
    pytest.param(a_key_of_another_type, "key_type", "fail", True, id="WRONGTYPE"),
    pytest.param(an_entry_of_the_future, "clock", "warn", False, id="clock skew"),
]


@pytest.mark.parametrize(("plant", "check", "severity", "mends"), FAULTS)
def test_a_planted_fault_is_found_alone(
    sound: Server, stream: str, plant: Planter, check: str, severity: str, mends: bool
) -> None:
    assert look(sound, stream) == {}
    with sound.client() as client:
        plant(client, stream)

        found = look(sound, stream)
        assert {name: each["severity"] for name, each in found.items()} == {check: severity}

        if mends:
            run(client, found[check]["mend"])
            assert look(sound, stream) == {}


def test_what_a_dead_consumer_holds_is_found(start_server: Callable[..., Server], stream: str) -> None:
    server = start_server(appendonly=True)
    with server.client() as client:
        client.xadd(stream, {"message": "x"})
        client.xgroup_create(stream, "g", "0")
        client.xreadgroup("g", "web-7-0123abcd", {stream: ">"})
        assert look(server, stream) == {}, "it has not been silent for long"

        eventually(lambda: client.xinfo_consumers(stream, "g")[0]["idle"] > 500)

        found = look(server, stream, *SILENT)
        assert set(found) == {"dead_consumer", "stuck_pending"}
        assert "web-7-0123abcd" in found["dead_consumer"]["title"]


def old_entries(client: redis.Redis, stream: str) -> None:
    seconds, _ = client.time()
    pipe = client.pipeline(transaction=False)
    for n in range(1500):
        pipe.xadd(stream, {"message": "x"}, id=f"{seconds * 1000 - 48 * HOUR_MS + n}-0")
    pipe.execute()


def test_a_stream_that_nobody_trims_is_found_and_mended(
    start_server: Callable[..., Server], stream: str
) -> None:
    server = start_server(appendonly=True)
    with server.client() as client:
        old_entries(client, stream)
        client.xgroup_create(stream, "g", "$")
        client.xgroup_createconsumer(stream, "g", "web-7-0123abcd")

        found = look(server, stream)
        assert set(found) == {"unbounded"}

        program, *arguments = shlex.split(found["unbounded"]["mend"])
        assert program == "streamix"
        assert streamix(*arguments, env={"REDIS_URL": server.url}).code == 0
        assert look(server, stream) == {}


def test_a_group_that_holds_the_stream_back_is_found(
    start_server: Callable[..., Server], stream: str
) -> None:
    server = start_server(appendonly=True)
    with server.client() as client:
        seconds, _ = client.time()
        client.xadd(stream, {"message": "x"}, id=f"{(seconds - 48 * 3600) * 1000}-0")
        for group, start in (("done", "$"), ("behind", "0")):
            client.xgroup_create(stream, group, start)
            client.xgroup_createconsumer(stream, group, "web-7-0123abcd")

        found = look(server, stream)
        assert set(found) == {"pinned"}
        assert "behind" in found["pinned"]["title"]

        run(client, found["pinned"]["mend"])
        assert look(server, stream) == {}


def test_a_missing_right_is_found_and_mended(server: Server, stream: str) -> None:
    with server.client() as client:
        client.acl_setuser(
            "svc",
            enabled=True,
            passwords=["+hunter2"],
            keys=[f"{stream}", f"{stream}:*"],
            commands=["+@all", "-xclaim"],
        )
        try:
            url = server.url.replace("redis://", "redis://svc:hunter2@")
            found = look(server, stream, url=url)
            assert found["acl"]["severity"] == "fail"
            assert "XCLAIM" in found["acl"]["title"]
            assert "acl" not in look(server, stream), "the default user may call everything"

            run(client, found["acl"]["mend"])
            assert "acl" not in look(server, stream, url=url)
        finally:
            client.acl_deluser("svc")


def test_0_1_0_in_the_group_is_found_and_this_release_is_not(
    sound: Server, stream: str, tmp_path: Path
) -> None:
    assert look(sound, stream) == {}
    with sound.client() as client, old.consumer(sound.url, stream, tmp_path):
        eventually(lambda: len(client.xinfo_consumers(stream, "g")) == 2)

        assert set(look(sound, stream)) == {"old_release"}


def test_a_member_of_this_release_with_a_name_like_0_1_0s_is_not_warned_of(
    server: Server, stream: str
) -> None:
    consumer = Consumer(redis_url=server.url, stream=stream, group="g", consumer="worker-1")
    consumer.on("thing", lambda data: None)
    with server.client() as client, consumer:
        client.xadd(stream, {"message": "x"})
        eventually(lambda: client.exists(f"{stream}:failed") == 1)  # so it has read

        assert "old_release" not in look(server, stream)


def test_0_1_0_by_itself_is_found_on_every_server(server: Server, stream: str, tmp_path: Path) -> None:
    with server.client() as client, old.consumer(server.url, stream, tmp_path) as consumer:
        eventually(lambda: bool(client.exists(stream)) and bool(client.xinfo_groups(stream)))
        (published,) = old.publish(server.url, stream, ("thing", {}))
        consumer.wait_for(lambda message: message["id"] == published["id"])

        assert "old_release" in look(server, stream)


# --- the whole ------------------------------------------------------------------------------------


def test_every_server_is_examined_and_nothing_is_written(server: Server, stream: str) -> None:
    with server.client() as client:
        client.xgroup_create(stream, "g", "0", mkstream=True)
        an_entry_of_the_future(client, stream)
        a_key_of_another_type(client, stream)
        before = sorted(client.scan_iter())

        found = look(server, stream)

        assert {"persistence", "no_consumer", "clock", "key_type"} <= set(found)
        assert sorted(client.scan_iter()) == before


def test_a_clock_that_is_wrong_is_found() -> None:
    (finding,) = (f for f in diagnose(DoctorFacts("s", skew_s=-42.0)) if f.severity == "warn")

    assert finding.id == "clock"
    assert "42 s behind" in finding.title


def test_exit_codes_tell_warnings_from_failures(sound: Server, stream: str) -> None:
    env = {"REDIS_URL": sound.url, "STREAM": stream}
    assert streamix("doctor", "--strict", env=env).code == 0
    with sound.client() as client:
        a_group_nobody_reads_for(client, stream)
        assert streamix("doctor", env=env).code == 0
        assert streamix("doctor", "--strict", env=env).code == 1

        evicting(client, stream)
        ended = streamix("doctor", env=env)

    assert ended.code == 1
    assert ended.out.splitlines()[1].split()[:2] == ["fail", "eviction"], "the worst comes first"
    assert "1 failed, 1 warnings." in ended.err


def test_redis_that_is_not_there_is_told(nowhere: dict[str, str]) -> None:
    ended = streamix("doctor", env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "hunter2" not in ended.err


def test_a_hostile_group_name_does_not_reach_the_terminal(any_server: Server, stream: str) -> None:
    with any_server.client() as client:
        client.xgroup_create(stream, "\x1b[31mred", "$", mkstream=True)

    ended = streamix("doctor", env={"REDIS_URL": any_server.url, "STREAM": stream})

    assert "\\x1b[31mred" in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_rights_are_asked_for_every_command_that_a_script_calls() -> None:
    folder = Path(__file__).resolve().parents[2] / "streamix_queue" / "broker" / "scripts"
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.lua"))
    called = set(re.findall(r"redis\.p?call\(\s*'([A-Z]+)'", scripts))

    assert len(called) > 20
    assert called - set(probes(b"k")) == {"HSETNX"}, "no call of it is harmless"


def advice() -> Iterator[Any]:
    """Every `streamix` command line that a check may give."""
    folder = Path(__file__).resolve().parents[2] / "streamix_queue" / "admin" / "doctor"
    for path in sorted(folder.glob("*_checks.py")):
        for line in re.findall(r'f?"(streamix [^"]*)"', path.read_text(encoding="utf-8")):
            yield pytest.param(re.sub(r"\{[^}]*\}", "x", line), id=line)


@pytest.mark.parametrize("line", list(advice()))
def test_every_advised_command_is_one_of_ours(line: str) -> None:
    _, *words = shlex.split(line)
    verbs = [word for word in words[:2] if word.isalpha() and word != "x"]

    ended = streamix(*verbs, "--help", env={"COLUMNS": "100"})

    assert ended.code == 0, ended.err
    assert [word for word in words if word.startswith("--") and word not in ended.out] == []
