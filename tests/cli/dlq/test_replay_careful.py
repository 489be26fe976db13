"""`streamix dlq replay` with care: paced, a few first, changed, and not for ever."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin, DeadLetterFilter
from streamix_queue.core.errors import ConfigError
from tests.admin.services import EVENT, Service, letters, running
from tests.support.command import streamix
from tests.support.members import member
from tests.support.servers import Server

COUNT = 6
ALL = ["dlq", "replay", "--all", "--yes"]


@pytest.fixture
def failed(any_server: Server, stream: str) -> list[str]:
    """Ids of dead letters of a service that is stopped."""
    with Publisher(any_server.url, stream) as publisher, Admin(any_server.url, stream) as admin:
        publisher.publish_many((EVENT, {"n": n}) for n in range(COUNT))
        with running(Service(any_server.url, stream, "billing", broken=True)):
            return [letter.id for letter in letters(admin, COUNT)]


@pytest.fixture
def broken(any_server: Server, stream: str) -> Service:
    return Service(any_server.url, stream, "billing", broken=True)


@pytest.fixture
def mended(any_server: Server, stream: str) -> Service:
    return Service(any_server.url, stream, "billing")


def left(server: Server, stream: str) -> list[str]:
    with Admin(server.url, stream) as admin:
        return [letter.id for letter in admin.dead_letters()]


def editor(tmp_path: Path, source: str) -> str:
    """A command that does ``source`` to the text of the file it is given."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfile = Path(sys.argv[1])\n"
        f"text = file.read_text()\nfile.write_text({source})\n"
    )
    return f"{sys.executable} {script}"


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["--all", "--rate", "0"],
        ["--all", "--max-replays", "0"],
        ["--all", "--canary", "-1"],
        ["--all", "--canary", "1", "--canary-timeout", "soon"],
        ["--all", "--canary", "1", "--canary-timeout", "0"],
        ["--all", "--fingerprint", "nonsense"],
        ["--all", "--edit"],
        ["1-0", "1-1", "--edit"],
        ["1-0", "--fingerprint", "0123456789"],
        ["1-0", "--older-than", "1d"],
    ],
    ids=str,
)
def test_what_makes_no_sense_is_wrong_usage(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], options: list[str]
) -> None:
    ended = streamix("dlq", "replay", "--yes", *options, env=env)

    assert (ended.code, ended.out) == (2, "")
    assert left(any_server, stream) == failed


def test_canaries_that_fail_again_stop_it(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], broken: Service
) -> None:
    with running(broken):
        ended = streamix(*ALL, "--canary", "2", "-o", "ndjson", env=env)

    assert ended.code == 1
    assert "failed again" in ended.err
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == failed[:2]
    assert left(any_server, stream)[: COUNT - 2] == failed[2:]
    assert len(broken.handler.calls) == 2


def test_canaries_that_nobody_ends_stop_it(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix(*ALL, "--canary", "2", "--canary-timeout", "300ms", env=env)

    assert ended.code == 1
    assert "2 of 2 had not ended after 0.3 s" in ended.err
    assert left(any_server, stream) == failed[2:]


def test_canaries_that_wait_for_a_retry_have_not_ended(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    failing = Service(any_server.url, stream, "billing", broken=True).handler
    waits = {"retry_limit": 3, "backoff_base_ms": 60_000, "backoff_max_ms": 60_000, "backoff_jitter": 0}
    consumer = member(any_server.url, stream, "billing", **waits)
    consumer.on(EVENT, failing)
    with consumer:
        ended = streamix(*ALL, "--canary", "1", "--canary-timeout", "1s", env=env)

        failing.wait_for(1)
    assert ended.code == 1
    assert "1 of 1 had not ended" in ended.err
    assert left(any_server, stream) == failed[1:]


def test_what_failed_again_so_often_is_left_alone(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], broken: Service
) -> None:
    with running(broken), Admin(any_server.url, stream) as admin:
        assert len(admin.replay(DeadLetterFilter()).replayed) == COUNT
        broken.handler.wait_for(COUNT)
        again = letters(admin, COUNT)
        assert {letter.replays for letter in again} == {1}

        refused = streamix(*ALL, "--max-replays", "1", env=env)

        assert refused.code == 1
        assert "it was replayed once and failed again" in refused.err
        assert left(any_server, stream) == [letter.id for letter in again]
        assert streamix(*ALL, "--max-replays", "2", "--dry-run", env=env).code == 0


@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        ("text", 6, "not changed"),
        ("'{'", 2, "no JSON object"),
        ("'[1]'", 2, "no JSON object"),
        ("text.replace('0', chr(34) + 'x' * 2_000_000 + chr(34))", 1, "cannot be published"),
    ],
)
def test_what_cannot_be_published_is_not_replayed(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], tmp_path: Path,
    source: str, code: int, told: str,
) -> None:  # fmt: skip
    ended = streamix(
        "dlq", "replay", failed[0], "--edit", "--yes", env={**env, "EDITOR": editor(tmp_path, source)}
    )

    assert ended.code == code
    assert told in ended.err
    assert left(any_server, stream) == failed


def test_without_an_editor_and_a_terminal_nobody_can_edit(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str]
) -> None:
    ended = streamix("dlq", "replay", failed[0], "--edit", "--yes", env={**env, "EDITOR": "", "VISUAL": ""})

    assert ended.code == 6
    assert "EDITOR" in ended.err
    assert left(any_server, stream) == failed


def test_an_option_out_of_range_is_refused(any_server: Server, stream: str) -> None:
    with Admin(any_server.url, stream) as admin:
        nonsense: list[dict[str, Any]] = [
            {"rate": 0}, {"canary": -1}, {"max_replays": 0}, {"canary_timeout_ms": 0},
        ]  # fmt: skip
        for options in nonsense:
            with pytest.raises(ConfigError, match=next(iter(options))):
                admin.replay(DeadLetterFilter(), **options)


# --- what goes right ------------------------------------------------------------------------------


def test_it_keeps_to_the_rate(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    began = time.monotonic()

    ended = streamix(*ALL, "--rate", "10", "--audit-log", str(log), env=env)

    assert ended.code == 0
    assert time.monotonic() - began > (COUNT - 1) / 10
    assert left(any_server, stream) == []
    (line,) = log.read_text().splitlines()
    assert f"replayed={COUNT} refused=0 missing=0 by=" in line
    assert "@" in line
    assert line.endswith("which=all")


@pytest.mark.parametrize("canary", [2, COUNT + 1])
def test_after_canaries_that_do_well_the_others_follow(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], mended: Service, canary: int
) -> None:
    with running(mended):
        ended = streamix(*ALL, "--canary", str(canary), env=env)

        assert (ended.code, ended.err) == (0, f"Replayed {COUNT} of {COUNT}.\n")
        mended.handler.wait_for(COUNT)
    assert sorted(mended.handler.values()) == list(range(COUNT))


def test_an_edited_message_keeps_its_id(
    any_server: Server, env: dict[str, str], stream: str, failed: list[str], mended: Service, tmp_path: Path
) -> None:
    with Admin(any_server.url, stream) as admin:
        letter = admin.dead_letter(failed[0])
        assert letter is not None
    with running(mended):
        edited = {**env, "EDITOR": editor(tmp_path, "text.replace('0', '70')")}
        ended = streamix("dlq", "replay", failed[0], "--edit", "--yes", env=edited)

        (call,) = mended.handler.wait_for(1)
    assert (ended.code, ended.err) == (0, "Replayed 1 of 1.\n")
    assert (call.data, call.message.id) == ({"n": 70}, letter.message_id)
    assert left(any_server, stream) == failed[1:]
