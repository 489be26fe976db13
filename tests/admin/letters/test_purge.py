"""Removing dead letters for good."""

from __future__ import annotations

import logging

import pytest

from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.servers import Server


def test_a_purge_removes_what_it_selects_and_no_more(
    server: Server, stream: str, old_letters: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[int] = []
    with Admin(server.url, stream) as admin, caplog.at_level(logging.INFO, "streamix_queue.audit"):
        assert admin.purge(DeadLetterFilter(), dry_run=True).removed == 121
        assert caplog.messages == []
        report = admin.purge(
            DeadLetterFilter(reason="retries_exhausted"), up_to=old_letters[110], progress=steps.append
        )
        left = [letter.id for letter in admin.dead_letters()]

    assert (report.removed, report.last_id, steps) == (111, old_letters[110], [100, 11])
    assert left == old_letters[111:]
    (line,) = caplog.messages
    assert "purged dead letters: removed=111 by=" in line
    assert "reason='retries_exhausted'" in line
