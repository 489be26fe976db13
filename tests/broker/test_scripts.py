"""The Lua scripts and the parts that they share: each is given what it names, and names what it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamix_queue.broker.redis.link import load_script

BROKER = Path(__file__).resolve().parents[2] / "streamix_queue" / "broker"
SCRIPTS = {path.stem: path.read_text("utf-8") for path in (BROKER / "scripts").glob("*.lua")}
PARTS = {path.stem: path.read_text("utf-8") for path in (BROKER / "scripts" / "parts").glob("*.lua")}


def code(text: str) -> str:
    """Without comments and what is between quotes."""
    return re.sub(r"--[^\n]*|'[^']*'", "", text)


def names_made(text: str) -> set[str]:
    """What a part gives: the functions and variables that are local to the whole of it."""
    found = re.findall(r"^local function (\w+)|^local (\w[\w, ]*) =", code(text), re.MULTILINE)
    return {name for function, names in found for name in [function, *names.split(", ")] if name}


def used_by(text: str) -> list[str]:
    return [name for line in re.findall(r"^-- uses: (.+)$", text, re.MULTILINE) for name in line.split()]


MADE = {part: names_made(text) for part, text in PARTS.items()}


def needed_by(text: str) -> set[str]:
    words = set(re.findall(r"\b\w+\b", code(text)))
    return {part for part, names in MADE.items() if names & (words - names_made(text))}


EACH = {**SCRIPTS, **{f"parts/{name}": text for name, text in PARTS.items()}}


@pytest.mark.parametrize("name", EACH)
def test_a_script_names_the_parts_that_it_uses_and_no_others(name: str) -> None:
    text = EACH[name]

    assert set(used_by(text)) == needed_by(text)
    assert len(used_by(text)) == len(set(used_by(text)))


def test_every_part_is_used_and_gives_names_of_its_own() -> None:
    """Of two parts with one name in common the later would hide what the other gives."""
    names = [name for made in MADE.values() for name in made]

    assert {part for text in EACH.values() for part in used_by(text)} == set(PARTS)
    assert len(names) == len(set(names))
    assert all(MADE.values())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_hides_nothing_that_a_part_of_it_gives(name: str) -> None:
    given = {made for part in used_by(SCRIPTS[name]) for made in MADE[part]}

    assert not given & set(re.findall(r"\blocal (?:function )?(\w+)", code(SCRIPTS[name])))


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_loaded_is_the_script_after_its_parts_each_once_and_after_its_own(name: str) -> None:
    text = load_script(name).text.decode()
    heads = {part: text.find(PARTS[part]) for part in PARTS if PARTS[part] in text}

    assert text.endswith(SCRIPTS[name])
    assert len(text) == len(SCRIPTS[name]) + sum(len(PARTS[part]) for part in heads)
    assert set(used_by(SCRIPTS[name])) <= set(heads)
    assert all(heads[used] < heads[part] for part in heads for used in used_by(PARTS[part]))


def test_a_part_that_is_not_there_is_told_when_the_script_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamix_queue.broker.redis.link._USES", re.compile(r"(KEYS)"))

    with pytest.raises(FileNotFoundError, match="parts/KEYS"):
        load_script("pause")


def test_every_script_is_loaded_by_a_broker() -> None:
    modules = "\n".join(path.read_text("utf-8") for path in (BROKER / "redis").rglob("*.py"))

    assert set(re.findall(r'load_script\("(\w+)"\)', modules)) == set(SCRIPTS)


def test_only_the_part_that_is_for_it_looks_into_the_text_of_an_error() -> None:
    readers = {name for name, text in EACH.items() if re.search(r"string\.\w+\([^)]*\.err\b", code(text))}

    assert readers == {"parts/code"}
