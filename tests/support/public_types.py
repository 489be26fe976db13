"""Check that every type a user can see is stated: ``python -m tests.support.public_types``.

basedpyright's ``--verifytypes`` takes each module for public. Here the layers are not: of them only
what a public module hands out counts.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("streamix_queue", "streamix_telemetry")
INTERNAL = {"core", "runtime", "telling", "broker", "held", "actors", "publishing", "consuming", "cli"}


def main() -> int:
    problems = [problem for package in PACKAGES for problem in _problems(package)]
    for problem in problems:
        print(problem)
    print(f"public types: {len(problems)} problems")
    return 1 if problems else 0


def _problems(package: str) -> list[str]:
    report = _verify(package)
    handed_out = _handed_out(package)
    return [
        f"{symbol['name']}: {_reason(symbol)}"
        for symbol in report["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
        if _is_public(symbol["name"], handed_out)
    ]


def _verify(package: str) -> dict[str, Any]:
    # It looks for the package in the environment of the `python` on the PATH, and nowhere else.
    folder = Path(sys.executable).parent
    answer = subprocess.run(
        [folder / "basedpyright", "--ignoreexternal", "--outputjson", "--verifytypes", package],
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdout=subprocess.PIPE,
        check=False,
    )
    report: dict[str, Any] = json.loads(answer.stdout)["typeCompleteness"]
    if not report.get("pyTypedPath"):
        raise SystemExit(f"{package} is not installed here, or has no py.typed")
    return report


def _handed_out(package: str) -> tuple[str, ...]:
    """Return the full names of what the package's front door gives, where they are defined."""
    module = importlib.import_module(package)
    things = [getattr(module, name) for name in getattr(module, "__all__", ())]
    return tuple(
        f"{thing.__module__}.{thing.__qualname__}" for thing in things if hasattr(thing, "__qualname__")
    )


def _is_public(name: str, handed_out: tuple[str, ...]) -> bool:
    if any(f"{name}.".startswith(f"{thing}.") for thing in handed_out):
        return True
    return not INTERNAL.intersection(name.split(".")[1:2])


def _reason(symbol: dict[str, Any]) -> str:
    texts = [diagnostic["message"] for diagnostic in symbol["diagnostics"]]
    return "; ".join(texts) or "its type is not fully stated"


if __name__ == "__main__":
    sys.exit(main())
