"""Break the library once for each mutant, and see the tests that name it fail.

``python -m tests.support.run_mutants [NAME ...]``: without names all of them, some minutes. A test names
its mutant in its docstring: "Fails when …  (mutant fence_off)". Exit code 1 if one of them passes.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.support.mutants import MUTANTS

TESTS = Path(__file__).resolve().parents[1]
_NAMES = re.compile(r"\bmutant (\w+)")


def named_by_tests() -> dict[str, list[str]]:
    """Mutant → the tests whose docstring names it, as pytest wants them."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for name in _NAMES.findall(ast.get_docstring(node) or ""):
                    found.setdefault(name, []).append(f"{path.relative_to(TESTS.parent)}::{node.name}")
    return found


def main() -> int:
    """Run them; the exit code."""
    parser = argparse.ArgumentParser(prog="run_mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a mutant; all of them, if none is named")
    names = parser.parse_args().names
    known = named_by_tests()
    survived = 0
    for name in names or sorted(MUTANTS):
        for test in known.get(name, []):
            began = time.monotonic()
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
            ended = subprocess.run(
                command,
                cwd=TESTS.parent,
                env={**os.environ, "STREAMIX_TEST_MUTANT": name},
                capture_output=True,
                text=True,
                check=False,
            )
            seen = ended.returncode == 1  # a failure, and not a test that was not found
            survived += not seen
            word = "seen" if seen else f"SURVIVED (pytest ended with {ended.returncode})"
            print(f"{name:24} {word:8} {time.monotonic() - began:5.1f} s  {test}", flush=True)
        if name not in known:
            print(f"{name:24} is named by no test")
            survived += 1
    return min(survived, 1)


if __name__ == "__main__":
    sys.exit(main())
