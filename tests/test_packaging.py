"""What the wheel holds: built from the tree, looked into, and imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from streamix_queue.__about__ import __version__

REPO = Path(__file__).resolve().parents[1]


def build(kind: str, target: Path) -> Path:
    # Without isolation: the build tool comes with the dev extra, and no network is asked.
    command = [
        sys.executable,
        "-m",
        "build",
        f"--{kind}",
        "--no-isolation",
        "--outdir",
        str(target),
        str(REPO),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def tracked(folder: str, pattern: str) -> set[str]:
    return {path.relative_to(REPO / folder).as_posix() for path in (REPO / folder).rglob(pattern)}


def test_two_packages_and_nothing_else_go_to_the_users_site_packages(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir()}

    assert names == {"streamix_queue", "streamix_telemetry", f"streamix_queue-{__version__}.dist-info"}


def test_every_module_and_script_is_inside(unpacked: Path) -> None:
    inside = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    wanted = {f"streamix_queue/{name}" for name in tracked("streamix_queue", "*.py")}
    wanted |= {f"streamix_queue/{name}" for name in tracked("streamix_queue", "*.lua")}
    wanted |= {name for name in tracked("telemetry", "*.py") if name.startswith("streamix_telemetry/")}

    assert wanted <= inside
    assert {"streamix_queue/py.typed", "streamix_telemetry/py.typed"} <= inside
    assert any(name.endswith(".lua") for name in inside)
    assert any("/scripts/parts/" in name and name.endswith(".lua") for name in inside)


def test_the_sources_come_with_their_documents(tmp_path: Path) -> None:
    """Fails when a page to which the README leads is left out; tests read them, too."""
    with tarfile.open(build("sdist", tmp_path)) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}

    wanted = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md"}
    assert wanted | {"telemetry/README.md", "grafana/README.md", "load/README.md"} <= inside
    assert {f"tests/{name}" for name in tracked("tests", "*.py")} <= inside


def test_the_metadata_says_what_it_should(unpacked: Path) -> None:
    info = unpacked / f"streamix_queue-{__version__}.dist-info"
    metadata = Parser().parsestr((info / "METADATA").read_text(encoding="utf-8"))

    assert metadata["Name"] == "streamix-queue"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert {"all", "cli", "dev", "embedded", "load", "otlp"} == set(metadata.get_all("Provides-Extra", []))
    assert (info / "licenses" / "LICENSE").is_file()
    assert "streamix = streamix_queue.cli:main" in (info / "entry_points.txt").read_text()


def test_both_packages_can_be_imported_from_it(unpacked: Path, tmp_path: Path) -> None:
    code = "import streamix_queue, streamix_telemetry as t; print(streamix_queue.__file__, t.__file__)"
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(unpacked)},  # stands before an editable install
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
    assert all(name.startswith(str(unpacked)) for name in answer.stdout.split())
