"""`streamix config show`, and what a file means to the other verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import streamix
from tests.support.servers import Server

# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [["config", "show"], ["dlq", "ls"]])
def test_a_mistake_in_the_file_is_wrong_usage_and_told_with_its_place(
    tmp_path: Path, verb: list[str]
) -> None:
    (tmp_path / "streamix.toml").write_text('stream = "a"\ngruop = "b"\n')

    ended = streamix(*verb, cwd=tmp_path)

    assert (ended.code, ended.out) == (2, "")
    assert f"{tmp_path}/streamix.toml:2: there is no setting 'gruop'. Did you mean 'group'?" in ended.err
    assert "Traceback" not in ended.err


def test_a_file_that_is_named_and_not_there_is_wrong_usage(tmp_path: Path) -> None:
    by_option = streamix("--config", "no.toml", "config", "show", cwd=tmp_path)
    by_variable = streamix("config", "show", cwd=tmp_path, env={"STREAMIX_CONFIG": "no.toml"})

    assert (by_option.code, by_variable.code) == (2, 2)
    assert "no.toml: cannot be read" in by_option.err
    assert "no.toml: cannot be read" in by_variable.err


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    ended = streamix("config", "show", env={"STREAMIX_PREFETCH": "a lot"})

    assert (ended.code, ended.out) == (2, "")
    assert "STREAMIX_PREFETCH: prefetch='a lot': expected a whole number, or none" in ended.err


@pytest.mark.parametrize(
    ("variable", "value"), [("STREAMIX_CONCURRENCY", "0"), ("STREAMIX_ON_FULL", "explode")]
)
def test_a_value_out_of_range_is_shown_and_refused(variable: str, value: str) -> None:
    ended = streamix("config", "show", "--origin", env={variable: value})

    assert ended.code == 2
    assert f"environment {variable}" in ended.out
    assert f"{variable.removeprefix('STREAMIX_').lower()}=" in ended.err


def test_no_password_is_shown_from_wherever_it_comes(tmp_path: Path) -> None:
    secret = "redis://me:hunter2@there:1/0?password=hunter2"
    (tmp_path / "streamix.toml").write_text(f'redis_url = "{secret}"\n')

    for ended in (
        streamix("config", "show", "--origin", cwd=tmp_path),
        streamix("config", "show", "-o", "json", env={"REDIS_URL": secret}),
        streamix("config", "show", "-o", "ndjson", "--redis-url", secret),
    ):
        assert ended.code == 0
        assert "redis://there:1/0" in ended.out
        assert "hunter2" not in ended.out + ended.err


def test_what_steers_a_terminal_is_shown_as_text() -> None:
    ended = streamix("config", "show", env={"STREAMIX_STREAM": "a\x1b[31mb"})

    assert "a\\x1b[31mb" in ended.out
    assert "\x1b" not in ended.out


# --- what goes right ------------------------------------------------------------------------------


def test_it_shows_each_setting_and_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "streamix.toml").write_text('stream = "from-file"\nkeep_ms = "1h"\n')
    env = {"GROUP": "from-environment", "STREAMIX_STREAM": ""}
    arguments = ("config", "show", "--origin", "--redis-url", "redis://argument:1/0")

    people = streamix(*arguments, cwd=tmp_path, env=env)
    machine = streamix(*arguments, "-o", "json", cwd=tmp_path, env=env)

    assert (people.code, people.err) == (0, "")
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in map(str.rstrip, people.out.splitlines())}
    assert rows["SETTING"] == ["VALUE", "ORIGIN"]
    assert rows["redis_url"] == ["redis://argument:1/0", "argument"]
    assert rows["stream"] == ["from-file", f"file {tmp_path}/streamix.toml:1"]
    assert rows["keep_ms"] == ["3600000", f"file {tmp_path}/streamix.toml:2"]
    assert rows["group"] == ["from-environment", "environment GROUP"]
    assert rows["concurrency"] == ["1", "default"]
    found = {each["name"]: each for each in json.loads(machine.out)}
    assert set(found) == set(rows) - {"SETTING"}
    assert found["group"]["environment"] == ["STREAMIX_GROUP", "GROUP"]
    assert found["keep_ms"]["value"] == 3_600_000
    assert found["prefetch"] == {
        "name": "prefetch",
        "value": None,
        "origin": "default",
        "used_by": ["consumer"],
        "environment": ["STREAMIX_PREFETCH"],
    }


def test_without_origin_the_table_has_two_columns(tmp_path: Path) -> None:
    ended = streamix("config", "show", cwd=tmp_path)

    assert ended.out.splitlines()[0].split() == ["SETTING", "VALUE"]
    assert "default" not in ended.out


@pytest.mark.parametrize("where", ["streamix.toml", "pyproject.toml", "--config", "STREAMIX_CONFIG"])
def test_the_files_server_and_stream_hold_for_every_verb(
    tmp_path: Path, any_server: Server, stream: str, where: str
) -> None:
    name = where if where.endswith(".toml") else "elsewhere.toml"
    table = "[tool.streamix]\n" if name == "pyproject.toml" else ""
    (tmp_path / name).write_text(f'{table}redis_url = "{any_server.url}"\nstream = "{stream}"\n')
    before = ["--config", name] if where == "--config" else []
    env = {where: name} if where == "STREAMIX_CONFIG" else {}
    any_server.client().xadd(f"{stream}:failed", {"raw": "one"})

    ended = streamix(*before, "dlq", "ls", "-o", "json", cwd=tmp_path, env=env)

    assert (ended.code, ended.err) == (0, "")
    assert len(json.loads(ended.out)) == 1


def test_environment_and_arguments_win_over_the_file(
    tmp_path: Path, any_server: Server, stream: str, nowhere: dict[str, str]
) -> None:
    (tmp_path / "streamix.toml").write_text(f'redis_url = "redis://127.0.0.1:1/0"\nstream = "{stream}"\n')

    by_file = streamix("dlq", "ls", cwd=tmp_path)
    by_environment = streamix("dlq", "ls", cwd=tmp_path, env={"REDIS_URL": any_server.url})
    by_argument = streamix("dlq", "ls", "--redis-url", any_server.url, cwd=tmp_path, env=nowhere)

    assert by_file.code == 3
    assert by_environment.code != 3
    assert by_argument.code != 3


def test_help_is_there_whatever_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "streamix.toml").write_text("= broken")

    assert streamix("--help", cwd=tmp_path).code == 0
    assert streamix("--version", cwd=tmp_path).code == 0
