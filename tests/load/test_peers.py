"""What can be tested of the peers without installing them: that none is silently dropped."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest

from load.harness import FLOOR, Bench
from load.machine import ROOT
from load.peers import environments
from load.peers.catalogue import PEERS, THIS_TREE
from load.peers.environments import CannotInstall, Environment
from load.results import text
from load.scenarios import peers

NAMED = (
    "streamix-queue 0.1.0", "dramatiq", "celery", "rq", "huey", "arq", "SAQ", "taskiq-redis", "FastStream",
    "streaq", "ardiq", "pydocket", FLOOR,
)  # fmt: skip


def options(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    peers.add_options(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("name", NAMED)
def test_a_peer_has_a_row_its_settings_and_a_driver(name: str) -> None:
    (peer,) = [peer for peer in PEERS.values() if peer.title.startswith(name)]

    source = ROOT / (peer.driver.replace(".", "/") + ".py")
    compile(source.read_text(encoding="utf-8"), str(source), "exec")
    assert re.search("at (least|most) once|acked after", peer.settings)


def test_every_peer_is_pinned() -> None:
    for peer in PEERS.values():
        assert peer.requirements[0] == THIS_TREE or "==" in peer.requirements[0], peer.title


def test_a_peer_that_cannot_be_installed_is_a_row_that_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(peer: Any, say: Any) -> Environment:
        if THIS_TREE in peer.requirements:
            return Environment(sys.executable, "3", ())
        raise CannotInstall("no such version")

    monkeypatch.setattr(peers, "prepare", prepare)

    result = peers.run(bench, options("--only", "huey", "--scale", "0.001", "--seconds", "0.3"))

    assert result.sound, text(result)
    huey = next(row for row in result.rows if row.name.startswith("huey"))
    assert huey.error == "no such version"
    assert "not measured: no such version" in text(result)
    measured = {row.name: set(row.figures) for row in result.rows if row.figures}
    assert set(measured) == {FLOOR, peers.STREAMIX, "streamix-queue, every span"}
    assert {peers.CONSUME, peers.PUBLISH, peers.P99} <= measured[FLOOR]


def test_an_unknown_peer_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(SystemExit, match="unknown peers: hue"):
        peers.run(bench, options("--only", "hue"))


def test_a_python_that_is_not_there_is_named() -> None:
    with pytest.raises(CannotInstall, match=r"needs Python 3\.99"):
        environments._interpreter(("3.99",))


def test_what_pip_says_is_handed_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('ERROR: no matching distribution\\nhint: none')"]

    with pytest.raises(CannotInstall, match="no matching distribution"):
        environments._call(command)


def test_an_environment_is_made_anew_when_its_pins_change() -> None:
    huey, rq = PEERS["huey"], PEERS["rq"]

    assert environments._fingerprint(huey, "python") == environments._fingerprint(huey, "python")
    assert environments._fingerprint(huey, "python") != environments._fingerprint(rq, "python")
    assert environments._fingerprint(huey, "python") != environments._fingerprint(huey, "another")


def test_this_tree_gets_its_own_dependencies_and_is_not_itself_installed() -> None:
    wanted = environments._wanted(PEERS["streamix"])

    assert any(requirement.startswith("redis[hiredis]") for requirement in wanted)
    assert str(ROOT) not in wanted
