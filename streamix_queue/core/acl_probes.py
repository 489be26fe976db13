"""How the doctor asks whether a user may call what a service calls, without doing anything.

Redis checks a user's rights (its ACL) before it looks at the arguments. So a call that can change nothing,
because its group or its key is not there or because its id is none, is refused only for want of the right.
"""

from __future__ import annotations

__all__ = ["probes"]

_ID = "0-1"


def probes(key: bytes) -> dict[str, tuple[bytes | str | int, ...]]:
    """Command → a call of it that changes nothing. ``key`` must not exist.

    Every command that the library calls, itself or in a script. But HSETNX, of which no call is
    harmless: who may call HSET may call it as well, unless somebody took pains.
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
