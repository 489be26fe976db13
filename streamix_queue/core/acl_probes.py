"""The commands that a service needs rights for, and how to ask for each without doing anything.

Redis looks at a user's rights before it looks at the arguments, so a call that can change nothing
(no such group, only if it is there, an id that is none) tells whether the right is there.
"""

from __future__ import annotations

__all__ = ["probes"]

Call = tuple[bytes | str | int, ...]

_ID = "0-1"


def probes(key: bytes) -> dict[str, Call]:
    """Command → a call of it that changes nothing, on a key that does not exist.

    HSETNX is not among them: no call of it is harmless. It is never needed without HSET.
    """
    group = "streamix-doctor"
    return {
        "EVAL": ("EVAL", "return 1", 0),
        "EVALSHA": ("EVALSHA", "0" * 40, 0),
        "XADD": ("XADD", key, "no-id", "f", "v"),
        "XACK": ("XACK", key, group, _ID),
        "XDEL": ("XDEL", key, _ID),
        "XLEN": ("XLEN", key),
        "XRANGE": ("XRANGE", key, "-", "+", "COUNT", 1),
        "XREVRANGE": ("XREVRANGE", key, "+", "-", "COUNT", 1),
        "XTRIM": ("XTRIM", key, "MINID", _ID),
        "XREADGROUP": ("XREADGROUP", "GROUP", group, "doctor", "COUNT", 1, "STREAMS", key, ">"),
        "XAUTOCLAIM": ("XAUTOCLAIM", key, group, "doctor", 60_000, "0-0", "COUNT", 1),
        "XCLAIM": ("XCLAIM", key, group, "doctor", 60_000, _ID),
        "XPENDING": ("XPENDING", key, group),
        "XGROUP": ("XGROUP", "CREATE", key, group, "$"),
        "XINFO": ("XINFO", "GROUPS", key),
        "ZADD": ("ZADD", key, "XX", 0, "m"),
        "ZREM": ("ZREM", key, "m"),
        "ZCARD": ("ZCARD", key),
        "ZSCORE": ("ZSCORE", key, "m"),
        "ZRANGE": ("ZRANGE", key, 0, 0),
        "ZREVRANGE": ("ZREVRANGE", key, 0, 0),
        "ZRANGEBYSCORE": ("ZRANGEBYSCORE", key, 0, 0),
        "ZREMRANGEBYSCORE": ("ZREMRANGEBYSCORE", key, 0, 0),
        "HSET": ("HSET", key, "f", "v", "odd"),
        "HGET": ("HGET", key, "f"),
        "HDEL": ("HDEL", key, "f"),
        "HGETALL": ("HGETALL", key),
        "HKEYS": ("HKEYS", key),
        "HLEN": ("HLEN", key),
        "HSCAN": ("HSCAN", key, 0),
        "EXISTS": ("EXISTS", key),
        "GET": ("GET", key),
        "SET": ("SET", key, "v", "XX", "PX", 1),
        "PEXPIRE": ("PEXPIRE", key, 1),
        "TIME": ("TIME",),
    }
