"""`streamix dlq stats`: dead letters by how they failed."""

from __future__ import annotations

import json

from tests.admin.services import EVENT
from tests.cli.dlq.letters_left import stats
from tests.support.command import streamix


def test_letters_that_failed_alike_are_counted_together(
    env: dict[str, str], five_letters: list[str], stream: str
) -> None:
    billing, *others = stats(env)

    assert (billing["count"], billing["group"], billing["event"]) == (3, "billing", EVENT)
    assert (billing["error_type"], billing["sample_id"]) == ("RuntimeError", five_letters[2])
    assert billing["first_failed_at"] <= billing["last_failed_at"]
    assert {each["error"] for each in others if each["group"] is None} >= {"no such user"}
    assert [each["count"] for each in others] == [1, 1]
    ended = streamix("dlq", "stats", env=env)
    heading, first, *_ = ended.out.splitlines()
    assert heading.split()[:4] == ["FINGERPRINT", "COUNT", "GROUP", "EVENT"]
    assert first.split()[:4] == [billing["fingerprint"], "3", "billing", EVENT]
    assert all(line.isprintable() for line in ended.out.split("\n"))


def test_only_the_newest_are_looked_at_and_it_says_so(env: dict[str, str], five_letters: list[str]) -> None:
    ended = streamix("dlq", "stats", "--scan", "3", "-o", "ndjson", env=env)

    assert sum(json.loads(line)["count"] for line in ended.out.splitlines()) == 3
    assert "newest 3 were looked at" in ended.err
    assert streamix("dlq", "stats", "--scan", "5", env=env).err == ""


def test_nothing_to_count_is_no_error(env: dict[str, str]) -> None:
    assert streamix("dlq", "stats", env=env).err == "No dead letters.\n"
