"""A request for a replay is checked once, when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from streamix_queue import ConfigError
from streamix_queue.core.replay import ReplayRequest


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("limit", -1),
        ("limit", 1.5),
        ("group", ""),
        ("rate", 0),
        ("rate", "fast"),
        ("max_replays", 0),
        ("canary", -1),
        ("canary", 1001),
        ("canary", True),
        ("canary_timeout_ms", 0),
        ("canary_timeout_ms", 86_400_001),
    ],
)
def test_an_option_out_of_range_is_named(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{option}="):
        ReplayRequest(**{option: value})


def test_what_is_not_said_is_left_open() -> None:
    request = ReplayRequest()

    assert (request.group, request.limit, request.rate, request.edit) == (None, None, None, None)
    assert (request.dry_run, request.unhandled, request.canary, request.max_replays) == (False, False, 0, 3)


@pytest.mark.parametrize("option", [{"limit": 0}, {"rate": 0.5}, {"canary": 1000}, {"group": "billing"}])
def test_the_ends_of_the_ranges_are_allowed(option: dict[str, Any]) -> None:
    ReplayRequest(**option)
