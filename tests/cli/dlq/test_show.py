"""`streamix dlq show`: a dead letter whole."""

from __future__ import annotations

import json

from tests.admin.services import EVENT
from tests.support.command import streamix


def test_a_letter_that_is_not_there_is_not_found(env: dict[str, str], five_letters: list[str]) -> None:
    ended = streamix("dlq", "show", "1-1", env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "no dead letter 1-1" in ended.err
    assert "streamix dlq ls" in ended.err


def test_a_letter_is_shown_whole(env: dict[str, str], five_letters: list[str]) -> None:
    ended = streamix("dlq", "show", five_letters[0], env=env)

    assert (ended.code, ended.err) == (0, "")
    for text in ("billing", EVENT, "RuntimeError", "does not suit us", "Traceback", '"n": 0', "attempts"):
        assert text in ended.out
    letter = json.loads(streamix("dlq", "show", five_letters[0], "-o", "json", env=env).out)
    assert (letter["id"], letter["data"], letter["replays"]) == (five_letters[0], {"n": 0}, 0)
    assert letter["attempts"][0]["error_type"] == "RuntimeError"
    assert "does not suit us" in letter["traceback"]


def test_hostile_letters_reach_no_terminal(env: dict[str, str], five_letters: list[str]) -> None:
    for letter_id in five_letters[3:]:
        for output in ("table", "json"):
            ended = streamix("dlq", "show", letter_id, "-o", output, env=env)
            assert ended.code == 0
            assert all(line.isprintable() for line in ended.out.split("\n"))
