"""The `streamix` command. Importing this costs nothing; `main` needs the extra ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_EXTRA = ("click", "rich")
_MISSING_EXTRA = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; ``arguments`` are the process' own by default."""
    try:
        from streamix_queue.cli.root import run  # noqa: PLC0415 - fails without the extra

        return run(arguments)
    except ModuleNotFoundError as error:
        # A verb may need rich only after a while, so not only the import above can end here.
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        print(
            f"streamix: the command needs the package {package!r}, which is not installed\n"
            "  Install what it needs:  pip install 'streamix-queue[cli]'",
            file=sys.stderr,
        )
        return _MISSING_EXTRA
