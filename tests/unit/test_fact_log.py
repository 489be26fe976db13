"""The chaos checker's log holds what was written whole, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.fact_log import FactLog, LogReader


def test_a_record_that_a_kill_has_cut_spoils_no_other(tmp_path: Path) -> None:
    """Fails when a record does not begin on a line of its own: the next one would be lost with it."""
    path = tmp_path / "log"
    FactLog(path, group="g").write({"kind": "first"})
    with path.open("ab") as file:
        file.write(b'\n{"group": "g", "boot": "5b4d088e", "kind": "failed", "message_id"')
    FactLog(path, group="g").write({"kind": "second"}, {"kind": "third"})

    assert [record["kind"] for record in LogReader(path).records()] == ["first", "second", "third"]


def test_a_reader_that_comes_in_the_middle_of_a_record_takes_it_up_later(tmp_path: Path) -> None:
    path = tmp_path / "log"
    reader = LogReader(path)
    fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(fd, b'\n{"kind": "fi')
    assert reader.records() == []
    os.write(fd, b'rst"}\n')
    os.close(fd)

    assert reader.records() == [{"kind": "first"}]
