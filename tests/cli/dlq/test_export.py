"""`streamix dlq export`: dead letters kept."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from streamix_queue.admin import fields_of
from tests.support.command import streamix
from tests.support.servers import Server


def test_a_file_that_is_there_is_not_written_over(
    env: dict[str, str], five_letters: list[str], tmp_path: Path
) -> None:
    kept = tmp_path / "letters.ndjson"
    kept.write_text("kept")

    ended = streamix("dlq", "export", "--to", str(kept), env=env)

    assert ended.code == 6
    assert "there already" in ended.err
    assert kept.read_text() == "kept"


def test_what_is_exported_is_the_letter_byte_for_byte(
    any_server: Server, env: dict[str, str], stream: str, five_letters: list[str]
) -> None:
    ended = streamix("dlq", "export", env=env)

    assert (ended.code, ended.err) == (0, "Exported 5.\n")
    exported = [json.loads(line) for line in ended.out.splitlines()]
    assert [letter["id"] for letter in exported] == five_letters
    entries: Any = any_server.client().xrange(f"{stream}:failed")
    for letter, (_, fields) in zip(exported, entries, strict=True):
        assert fields_of(letter) == [each for pair in fields.items() for each in pair]
    assert exported[4]["fields"][0][1].keys() == {"base64"}
    assert exported[3]["data"] == {"n": 3, "text": "\x1b[2J"}


def test_a_file_holds_the_same_and_is_private(
    env: dict[str, str], five_letters: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "letters.ndjson"

    ended = streamix("dlq", "export", "--to", str(file), "--limit", "4", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "Exported 4.\n")
    lines = file.read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == five_letters[:4]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
