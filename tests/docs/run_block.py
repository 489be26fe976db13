"""Runs a block of Python from a document as it stands, against the server named in the environment.

The documents use the default URL; here the defaults are set to a server of the test's own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import streamix_queue


def use_server(url: str) -> None:
    """Make ``url`` the default of everything that has one."""
    for function in (streamix_queue.publish, streamix_queue.consume):
        defaults: dict[str, Any] = function.__kwdefaults__ or {}
        defaults["redis_url"] = url
    for door in (streamix_queue.Publisher, streamix_queue.Consumer):
        init: Any = door.__init__
        init.__defaults__ = (url, *init.__defaults__[1:])


if __name__ == "__main__":
    use_server(os.environ["BLOCK_REDIS_URL"])
    source = Path(sys.argv[1]).read_text("utf-8")
    exec(compile(source, "<block>", "exec"), {"__name__": "__main__"})
