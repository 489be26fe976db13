"""Ten thousand dead letters, of which one kind is replayed at a rate, through a kill of the replay."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from typing import Any

import pytest

from streamix_queue import StreamMessage
from streamix_queue.admin import Admin, DeadLetterEntry
from streamix_queue.core.attempt import Failure, unleased
from streamix_queue.core.dead_letter import Origin, dead_letter
from streamix_queue.core.entry import entry_of
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import MESSAGE, build, encode
from tests.support.command import COMMAND, environment, streamix
from tests.support.members import Handler, eventually, member
from tests.support.servers import Server

EVENT = "order.placed"
NOW = "2026-04-01T10:00:00+00:00"
RATE = 500
KINDS = {
    "LookupError": (3_000, "user 'u-{n}' was not found in shard {n}"),
    "TimeoutError": (3_500, "no answer from 10.0.0.{n} within 1.5 s"),
    "ValueError": (3_500, "order {n} has no lines"),
}


def planted(server: Server, stream: str) -> dict[str, dict[str, str]]:
    """Dead letters as a member of billing writes them, mixed: kind → letter id → message id."""
    origin = Origin(stream, "billing", "host-1-abc")
    order = [kind for n in range(3_500) for kind, (count, _) in KINDS.items() if n < count]
    letters: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    with server.client() as client:
        for start in range(0, len(order), 1000):
            pipeline, messages = client.pipeline(transaction=False), []
            for n, kind in enumerate(order[start : start + 1000], start):
                message = build(EVENT, {"n": n, "kind": kind}, f"message-{n}", NOW)
                messages.append((kind, message.id))
                attempt = unleased(entry_of(b"s", b"%d-1" % (n + 1), (), 1, "new", 0.0))
                attempt.raw, attempt.message = encode(message, max_bytes=10_000), message
                attempt.failure = Failure(kind, KINDS[kind][1].format(n=n), "")
                fields = dead_letter(attempt, Reason.RETRIES_EXHAUSTED, origin, [], f"letter-{n}", NOW)
                assert fields[0] == MESSAGE
                pipeline.execute_command("XADD", f"{stream}:failed", "*", *fields)
            for (kind, message_id), letter_id in zip(messages, pipeline.execute(), strict=True):
                letters[kind][letter_id.decode()] = message_id
    return letters


def fails_again(n: int) -> bool:
    return n % 10 == 0


def act(data: dict[str, Any], message: StreamMessage) -> None:
    n = data["n"]
    if fails_again(n):
        raise LookupError(KINDS["LookupError"][1].format(n=n))


def all_letters(server: Server, stream: str) -> dict[str, DeadLetterEntry]:
    with Admin(server.url, stream) as admin:
        return {letter.id: letter for letter in admin.dead_letters()}


@pytest.mark.slow
def test_one_of_three_kinds_is_replayed_through_a_kill_and_every_message_is_accounted_for(
    any_server: Server, stream: str
) -> None:
    letters = planted(any_server, stream)
    meant = letters["LookupError"]
    env = {"STREAMIX_REDIS_URL": any_server.url, "STREAMIX_STREAM": stream}
    stats = json.loads(streamix("dlq", "stats", "-o", "json", env=env).out)
    assert {each["error_type"]: each["count"] for each in stats} == {k: n for k, (n, _) in KINDS.items()}
    (fingerprint,) = (each["fingerprint"] for each in stats if each["error_type"] == "LookupError")
    # The third option leaves alone what fails again meanwhile: it fails in the same way.
    replay = ["dlq", "replay", "--all", "--fingerprint", fingerprint, "--rate", str(RATE)]
    replay += ["--max-replays", "1", "--yes", "-o", "ndjson"]
    handler = Handler(act)
    consumer = member(any_server.url, stream, "billing", retry_limit=0)
    consumer.on(EVENT, handler)
    with consumer:
        began = time.monotonic()
        with subprocess.Popen(
            [*COMMAND, *replay], env=environment(**env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            handler.wait_for(len(meant) // 2, timeout_s=30)
            process.kill()
        assert time.monotonic() - began > len(meant) / 2 / RATE - 0.5, "faster than it was asked for"
        left = meant.keys() & all_letters(any_server, stream).keys()
        assert 0 < len(left) <= len(meant) // 2

        began = time.monotonic()
        ended = streamix(*replay, env=env)
        assert time.monotonic() - began > (len(left) - 1) / RATE - 0.2

        handler.wait_for(len(meant))
        again = {message for message in meant.values() if fails_again(int(message.partition("-")[2]))}
        expected = 7_000 + len(again)
        eventually(lambda: len(all_letters(any_server, stream)) >= expected, what=f"{expected} letters")

    lines = [json.loads(line) for line in ended.out.splitlines()]
    replayed = {line["id"] for line in lines if line["status"] == "replayed"}
    assert replayed <= left
    assert len(left) - 1 <= len(replayed), "one may have been on its way to Redis at the kill"
    assert ended.code == 1, "what failed again was refused"
    assert "it was replayed once and failed again" in ended.err

    assert Counter(call.message.id for call in handler.calls) == Counter(meant.values()), "each once"
    after = all_letters(any_server, stream)
    others = letters["TimeoutError"].keys() | letters["ValueError"].keys()
    assert {letter_id for letter_id in after if after[letter_id].replays == 0} == others
    new = [letter for letter in after.values() if letter.replays]
    assert sorted(letter.message_id for letter in new) == sorted(again)
    assert {(letter.replays, letter.fingerprint) for letter in new} == {(1, fingerprint)}
    with any_server.client() as client:
        assert client.xlen(f"{stream}:billing:inbox:{EVENT}") == 0, "nothing waits"
