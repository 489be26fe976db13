"""RQ finds a task by the name of its module, which for a driver is ``__main__``."""

from __future__ import annotations

from load.tally import Tally

tally: Tally | None = None


def handle(n: int, t: int, user_id: str, email: str) -> None:
    assert tally is not None
    tally.hit(n, t)
