"""Which dead letters are meant."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from streamix_queue import ConfigError
from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.servers import Server


def test_a_moment_without_a_time_zone_and_what_is_no_fingerprint_are_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        DeadLetterFilter(failed_before=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(ConfigError, match="10 hex digits"):
        DeadLetterFilter(fingerprint="no")


def test_moments_select_to_the_millisecond(server: Server, stream: str) -> None:
    client: Any = server.client()
    for entry_id in ("999-7", "1000-0", "1000-9", "1001-0"):
        client.execute_command("XADD", f"{stream}:failed", entry_id, "message", "x")
    second = datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)

    def ids(**moments: datetime) -> list[str]:
        both = [
            [each.id for each in admin.dead_letters(**moments, newest_first=newest_first)]  # type: ignore[arg-type]
            for newest_first in (False, True)
        ]
        assert both[0] == both[1][::-1]
        return both[0]

    with Admin(server.url, stream) as admin:
        assert ids(failed_before=second) == ["999-7"]
        assert ids(failed_after=second) == ["1000-0", "1000-9", "1001-0"]
        assert ids(failed_after=second, failed_before=second + timedelta(milliseconds=1)) == [
            "1000-0",
            "1000-9",
        ]
        assert ids(failed_after=second + timedelta(microseconds=1)) == ["1001-0"]
        assert ids(failed_before=second - timedelta(days=9000)) == []
