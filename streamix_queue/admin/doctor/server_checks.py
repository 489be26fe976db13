"""Checks of the server and of our rights on it. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import join

from streamix_queue.admin.doctor.facts import DoctorFacts, Finding

__all__ = ["SERVER_CHECKS"]

_SKEW_S = 5.0
_NEARLY_FULL = 0.9


def kind(facts: DoctorFacts) -> Iterator[Finding]:
    """Which server it is, and what its kind lacks."""
    info = facts.info
    if not info:
        yield Finding("server", "info", "The server's kind is unknown: INFO may not be asked.")
        return
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "")
    lacks = ""
    if version.startswith("6."):
        lacks = "It does not count how far a group lags, so lag is counted up to a bound."
    yield Finding("server", "ok", f"{name} {version}, {info.get('redis_mode', 'standalone')}", lacks)


def persistence(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether entries outlive a crash of the server."""
    info = facts.info
    if "aof_enabled" not in info:
        return
    if info["aof_enabled"] == "0":
        yield Finding(
            "persistence",
            "warn",
            "No append-only file",
            "A crash of the server loses the entries since the last snapshot, or all of them.",
            "redis-cli CONFIG SET appendonly yes",
        )
    elif "err" in (info.get("aof_last_write_status"), info.get("aof_last_bgrewrite_status")):
        yield Finding(
            "persistence",
            "fail",
            "Writing the append-only file failed",
            "The disk is full or broken; Redis may refuse writes.",
            "redis-cli BGREWRITEAOF",
        )
    else:
        yield Finding("persistence", "ok", "Append-only file is on")
    if info.get("rdb_last_bgsave_status") == "err":
        yield Finding(
            "snapshot",
            "fail",
            "The last snapshot failed",
            "Redis refuses writes as long as snapshots fail. Its log says why.",
            "redis-cli BGSAVE",
        )


def eviction(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether the server throws streams away when its memory is full."""
    policy = facts.info.get("maxmemory_policy", "")
    mend = "redis-cli CONFIG SET maxmemory-policy noeviction"
    if policy.startswith("allkeys-"):
        yield Finding(
            "eviction", "fail", f"Eviction policy is {policy}", "A full server deletes whole streams.", mend
        )
    elif policy.startswith("volatile-"):
        detail = "Streams have no time to live and stay; locks may go, which costs only work."
        yield Finding("eviction", "info", f"Eviction policy is {policy}", detail, mend)
    elif policy:
        yield Finding("eviction", "ok", f"Eviction policy is {policy}")


def memory(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether there is a limit, and room below it."""
    info = facts.info
    if "maxmemory" not in info:
        return
    limit, used = int(info["maxmemory"]), int(info.get("used_memory", "0"))
    if limit == 0:
        detail = "The server may grow until the system ends it."
        yield Finding("memory", "info", "No memory limit is set", detail)
    elif used >= limit * _NEARLY_FULL:
        yield Finding(
            "memory",
            "warn",
            f"{100 * used // limit} % of the memory limit is in use",
            "At the limit publishing is refused, or keys are evicted.",
            f"redis-cli CONFIG SET maxmemory {max(limit, used) * 2}",
        )
    else:
        yield Finding("memory", "ok", f"{100 * used // limit} % of the memory limit is in use")


def rights(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether our user may call what a service needs."""
    if not facts.refused:
        yield Finding("acl", "ok", "This user may call what a service needs")
        return
    names = ", ".join(facts.refused)
    mend = ""
    if facts.user:
        rules = [f"+{name.lower()}" for name in facts.refused]
        keys = [f"~{facts.stream}", f"~{facts.stream}:*"]
        mend = "redis-cli " + join(["ACL", "SETUSER", facts.user, *keys, *rules])
    yield Finding(
        "acl",
        "fail",
        f"This user may not call {names}",
        "Services that connect as it stop there." if mend else "Its name is unknown: ACL WHOAMI is refused.",
        mend,
    )


def clock(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether clocks agree: due times, ages and ids go by them."""
    ahead = 0.0 if facts.last_s is None else facts.last_s - facts.now_s
    if abs(facts.skew_s) > _SKEW_S:
        way = "ahead of" if facts.skew_s > 0 else "behind"
        title = f"Redis' clock is {abs(facts.skew_s):.0f} s {way} this machine's"
    elif ahead > _SKEW_S:
        title = f"The newest entry is {ahead:.0f} s in the future"
    else:
        yield Finding("clock", "ok", "Clocks agree")
        return
    detail = "Ages are wrong; a clock was wrong or is. Ids go on from the newest until time catches up."
    yield Finding("clock", "warn", title, detail, "timedatectl set-ntp true")


def replication(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether this is the server to write to."""
    if facts.info.get("role") == "slave":
        detail = "Writes are refused here, or lost."
        yield Finding("replication", "fail", "This server is a replica", detail, "redis-cli INFO replication")
    elif "connected_slaves" in facts.info:
        yield Finding("replication", "ok", f"Primary with {facts.info['connected_slaves']} replica(s)")


SERVER_CHECKS = (kind, persistence, eviction, memory, rights, clock, replication)
