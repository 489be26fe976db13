"""Lists the files of Python with more than 500 lines: a question to who reads it, and no gate.

Usage: ``python -m tests.structure.report_long_files [--repo DIR] [--over LINES]``
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.structure.source import LONG, long_files

__all__ = ["main"]


def main() -> None:
    """Print one line per file, longest first; the exit code is always 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, default=Path(), help="the checkout (default: where you are)")
    parser.add_argument(
        "--over", type=int, default=LONG, help="how many lines are long (default: %(default)s)"
    )
    arguments = parser.parse_args()
    for path, lines in long_files(arguments.repo, arguments.over):
        print(f"{lines:6} {path}")


if __name__ == "__main__":
    main()
