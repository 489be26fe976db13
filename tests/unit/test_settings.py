"""`Settings`: what wins over what, field by field, and what a mistake is told as."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import ConfigError, Consumer, Publisher
from streamix_queue.settings import Settings


def load(directory: Path, text: str = "", /, name: str = "streamix.toml", **environ: str) -> Settings:
    if text:
        (directory / name).write_text(text)
    return Settings.load(environ=environ, cwd=directory)


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'stream = "a"\nconcurency = 2',
            "streamix.toml:2: there is no setting 'concurency'. Did you mean 'con",
        ),
        ("wholly_other = 1", "streamix.toml:1: there is no setting 'wholly_other'. There are: redis_url,"),
        ("[billing]\nstream = 'a'", "streamix.toml: there is no setting 'billing'."),
        ("[consumer]\nurl = 'redis://me:hunter2@h/0'", "streamix.toml: consumer=<dict>: expected text"),
        ('concurrency = "8"', "streamix.toml:1: concurrency='8': expected a whole number"),
        ("concurrency = true", "concurrency=True"),
        ("concurrency = 1.5", "concurrency=1.5"),
        ("stream = 7", "stream=7: expected text"),
        ('group = ["a"]', "group=<list>: expected text"),
        ('drain_timeout_ms = "soon"', "expected a time such as 500ms, 30s"),
        ("drain_timeout_ms = 1.5", "expected a time"),
        ('batch_size = "all"', "expected a whole number, or none"),
        ("start_from = 3", "expected beginning, latest"),
        ('redis_url = "redis://me:hunter2@h/0"\nstream = 1\n', "streamix.toml:2: stream=1"),
        ("stream = ", "streamix.toml: not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)

    assert said in str(raised.value)
    assert str(tmp_path) in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMIX_CONCURRENCY", "many"),
        ("STREAMIX_CONCURRENCY", "1.5"),
        ("STREAMIX_CONCURRENCY", "none"),  # it may not be None
        ("STREAMIX_BACKOFF_JITTER", "wide"),
        ("STREAMIX_BLOCK_MS", "5 parsecs"),
        ("STREAMIX_BLOCK_MS", "1.5"),
        ("STREAMIX_METRICS_PORT", "tcp://10.0.0.1:9464"),  # what Kubernetes sets for a Service of that name
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        load(tmp_path, **{variable: value})


def test_a_wrong_argument_is_told_and_a_url_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="argument: concurrency='x'"):
        Settings.load({"concurrency": "x"}, environ={}, cwd=tmp_path)
    with pytest.raises(ConfigError, match="no such setting"):
        Settings.load({"colour": "x"}, environ={}, cwd=tmp_path)
    with pytest.raises(ConfigError) as raised:
        Settings.load({"redis_url": b"redis://me:hunter2@h/0"}, environ={}, cwd=tmp_path)
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.toml: cannot be read: No such file"):
        load(tmp_path, STREAMIX_CONFIG="nowhere.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Settings.load(environ={}, cwd=tmp_path, config="bytes.toml")


def test_nothing_that_is_printed_of_it_shows_a_password(tmp_path: Path) -> None:
    settings = load(tmp_path, REDIS_URL="redis://me:hunter2@h/0")

    assert "hunter2" not in f"{settings!r} {settings} {settings.effective()!r} {settings.explicit!r}"


# --- what goes right ------------------------------------------------------------------------------


def test_each_setting_by_itself_comes_from_the_strongest_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "streamix.toml").write_text(
        'stream = "file"\ngroup = "file"\nconcurrency = 3\nretry_limit = 1'
    )
    environ = {"GROUP": "old", "STREAMIX_CONCURRENCY": "5", "STREAMIX_STREAM": ""}

    settings = Settings.load({"concurrency": 9, "consumer": None}, environ=environ, cwd=tmp_path)

    effective = settings.effective()
    file = tmp_path / "streamix.toml"
    assert effective["concurrency"] == (9, "argument")
    assert effective["group"] == ("old", "environment GROUP")
    assert effective["stream"] == ("file", f"file {file}:1"), "an empty variable is none"
    assert effective["retry_limit"] == (1, f"file {file}:4")
    assert effective["block_ms"] == (5000, "default")
    assert settings.file == file


@pytest.mark.parametrize(
    ("old", "new"),
    [("REDIS_URL", "STREAMIX_REDIS_URL"), ("STREAM", "STREAMIX_STREAM"), ("GROUP", "STREAMIX_GROUP")],
)
def test_the_variables_of_0_1_0_count_and_ours_win_over_them(tmp_path: Path, old: str, new: str) -> None:
    name = old.lower()

    assert load(tmp_path, **{old: "redis://a"}).explicit[name] == ("redis://a", f"environment {old}")
    both = load(tmp_path, **{old: "redis://a", new: "redis://b"})
    assert both.explicit[name] == ("redis://b", f"environment {new}")


def test_a_publishers_time_limit_has_a_name_that_says_whose_it_is_and_the_old_one(tmp_path: Path) -> None:
    old, new = "STREAMIX_TIMEOUT_MS", "STREAMIX_PUBLISH_TIMEOUT_MS"

    by_old, by_new = load(tmp_path, **{old: "1s"}), load(tmp_path, **{new: "2s", old: "1s"})
    by_file = load(tmp_path, "publish_timeout_ms = 3000\ntimeout_ms = 4000")
    by_argument = Settings.load({"publish_timeout_ms": 5000, "timeout_ms": 6000}, environ={}, cwd=tmp_path)

    assert by_old.explicit == {"timeout_ms": (1000, f"environment {old}")}
    assert by_new.explicit == {"timeout_ms": (2000, f"environment {new}")}
    assert by_file.explicit == {"timeout_ms": (3000, f"file {tmp_path / 'streamix.toml'}:1")}
    assert by_argument.explicit == {"timeout_ms": (5000, "argument")}
    assert by_argument.publisher_options() == {"timeout_ms": 5000}
    assert by_argument.consumer_options() == {}
    with pytest.raises(ConfigError, match=f"{new}: timeout_ms='x': expected a time"):
        load(tmp_path, **{new: "x"})


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [("250", 250), ("250ms", 250), ("30s", 30_000), ("1.5s", 1500), ("5m", 300_000), ("24h", 86_400_000)],
)
def test_a_time_may_have_a_unit_and_a_bare_number_is_milliseconds(
    tmp_path: Path, value: str, milliseconds: int
) -> None:
    assert load(tmp_path, STREAMIX_KEEP_MS=value).explicit["keep_ms"].value == milliseconds
    assert load(tmp_path, f'keep_ms = "{value}"').explicit["keep_ms"].value == milliseconds


def test_none_can_be_said_where_an_option_may_be_none(tmp_path: Path) -> None:
    settings = load(tmp_path, 'batch_size = "none"', STREAMIX_KEEP_MS="none")

    assert settings.consumer_options() == {"batch_size": None, "keep_ms": None}


@pytest.mark.parametrize(
    "value", ["2026-11-24T08:00:00Z", "2026-11-24T08:00:00+00:00", "beginning", "1713982500001-0"]
)
def test_a_new_group_may_start_from_a_time(tmp_path: Path, value: str) -> None:
    expected: Any = datetime(2026, 11, 24, 8, tzinfo=timezone.utc) if "T" in value else value

    assert load(tmp_path, STREAMIX_START_FROM=value).explicit["start_from"].value == expected
    assert load(tmp_path, f'start_from = "{value}"').explicit["start_from"].value == expected


def test_a_pyproject_is_read_where_it_speaks_of_us_and_otherwise_let_be(tmp_path: Path) -> None:
    of_others = 'stream = 7\n[project]\nname = "x"\nstream = 1\n'

    assert load(tmp_path, "this is = = no TOML", "pyproject.toml").file is None
    assert load(tmp_path, of_others + 'dependencies = ["streamix-queue"]', "pyproject.toml").file is None
    settings = load(tmp_path, of_others + '[tool.streamix]\nstream = "mine"', "pyproject.toml")
    assert settings.explicit == {"stream": ("mine", f"file {tmp_path / 'pyproject.toml'}:6")}
    assert load(tmp_path, 'stream = "first"').explicit["stream"].value == "first"


def test_a_consumer_and_a_publisher_can_be_made_of_it(tmp_path: Path) -> None:
    settings = load(tmp_path, 'stream = "a"\nconcurrency = 4\nmax_backlog = 9\nblock_ms = "2s"')

    assert settings.consumer_options() == {"stream": "a", "concurrency": 4, "block_ms": 2000}
    assert settings.publisher_options() == {"stream": "a", "max_backlog": 9}
    Consumer(**settings.consumer_options())
    Publisher(**settings.publisher_options()).close()


def test_a_consumer_reads_neither_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services of 0.1.0 may have such variables, and are upgraded without a change."""
    (tmp_path / "streamix.toml").write_text("concurrency = 'no number'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMIX_CONCURRENCY", "neither")

    Consumer()
