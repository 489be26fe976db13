"""What is wrong with a server, a stream and its groups, and the command that mends it.

The checks are functions from facts to findings; only `gather` talks to Redis.
"""

from __future__ import annotations

from streamix_queue.admin.doctor.facts import DoctorFacts, Finding, GroupFacts, MemberFacts
from streamix_queue.admin.doctor.gather import gather
from streamix_queue.admin.doctor.server_checks import SERVER_CHECKS
from streamix_queue.admin.doctor.stream_checks import STREAM_CHECKS
from streamix_queue.admin.stream_client import check_place, check_timeout
from streamix_queue.composition import redis_operator
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number

__all__ = ["DoctorFacts", "Finding", "GroupFacts", "MemberFacts", "diagnose", "examine"]

_WORST_FIRST = ("fail", "warn", "info", "ok")


def diagnose(facts: DoctorFacts) -> list[Finding]:
    """Everything that follows from the facts, the worst first. Pure."""
    found = [finding for check in (*SERVER_CHECKS, *STREAM_CHECKS) for finding in check(facts)]
    return sorted(found, key=lambda finding: _WORST_FIRST.index(finding.severity))


def examine(
    redis_url: str = DEFAULT_REDIS_URL,
    stream: str = DEFAULT_STREAM,
    *,
    dead_after_ms: int = 600_000,
    timeout_ms: int = 5000,
) -> list[Finding]:
    """Look at a server and a stream, the worst finding first. Nothing is written.

    May be called from any thread. Bounded, whatever the size of the stream.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream.
        dead_after_ms: A consumer that was silent for longer is dead, ms.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an argument is out of range.
        BrokerError: Redis cannot be reached or refuses.
    """
    check_place(redis_url, stream)
    number("dead_after_ms", dead_after_ms, 1, 2**53, unit="ms")
    check_timeout(timeout_ms)
    operator = redis_operator(redis_url, timeout_ms / 1000)
    try:
        return diagnose(gather(operator, stream, dead_after_ms / 1000))
    finally:
        operator.close()
