"""Prints the measures of a checkout's structure; see the package.

Usage: ``python -m tests.structure.measure [--repo DIR] [--json] [--against FILE.json]``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from tests.structure import source
from tests.structure.source import Library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Measures", "main", "of_running", "of_source", "run_probe", "table"]

HERE = Path(__file__).resolve()
Value = int | float | str


class Measures(TypedDict):
    """One value per measure, in the order of the table, and what the values are made of."""

    rows: dict[str, Value]
    details: dict[str, Any]


def of_source(library: Library, *, lease_module: str | None = None) -> Measures:
    """What can be told from the text."""
    rows: dict[str, Value] = {}
    details: dict[str, Any] = {}

    def places(name: str, found: Sequence[source.Place]) -> None:
        rows[name] = len(found)
        rows[f"{name}: modules"] = len({place.path for place in found})
        details[name] = [str(place) for place in found]

    places("writes to lease state outside its module", source.lease_writes(library, lease_module))
    places("writes to a message's record outside its module", source.record_writes(library))

    for rank, (each, count) in enumerate(source.largest_classes(library), 1):
        kind = "frozen" if each.frozen else "mutable"
        rows[f"fields of an object, largest {rank}"] = f"{count} {each.name} ({kind}, {each.path})"
    for rank, (each, count) in enumerate(source.largest_classes(library, frozen=False), 1):
        rows[f"fields of a mutable object, largest {rank}"] = f"{count} {each.name} ({each.path})"
    for rank, (each, count) in enumerate(source.constructors(library), 1):
        rows[f"parameters of a constructor, largest {rank}"] = f"{count} {each.name} ({each.path})"

    long = source.long_files(library.repo)
    rows[f"files over {source.LONG} lines"] = len(long)
    details["long files"] = [f"{lines} {path}" for path, lines in long]
    folders: dict[str, list[source.File]] = defaultdict(list)
    for file in library.files:
        folders[file.folder].append(file)
    for folder, files in [("library and telemetry", library.files), *sorted(folders.items())]:
        size = source.lengths(files)
        rows[f"files: {folder}"] = (
            f"{size['files']}, {size['lines']} lines, median {size['median']},"
            f" p90 {size['p90']}, largest {size['largest']}"
        )

    tests = source.text_tests(library)
    classify = [place for place in tests if Path(place.path).name == "errors.py"]
    rows["tests for an error's text in broker, errors.py apart"] = len(tests) - len(classify)
    rows["tests for an error's text in broker, in errors.py"] = len(classify)
    details["tests for an error's text"] = [str(place) for place in tests]
    for part in ("broker", "admin"):
        found = source.methods_named(library, "groups", f"streamix_queue/{part}")
        rows[f"methods groups() in {part}"] = len(found)
        details[f"methods groups() in {part}"] = found
    imports = source.function_imports(library)
    rows["imports in functions"] = sum(imports.values())
    details["imports in functions"] = imports
    for how, found_places in source.fork_handling(library).items():
        rows[f"fork handling: {how}"] = len(found_places)
        details[f"fork handling: {how}"] = [str(place) for place in found_places]
    return {"rows": rows, "details": details}


def of_running(repo: Path) -> Measures:
    """What one consumer does: half a minute on an embedded server."""
    rows: dict[str, Value] = {}
    details: dict[str, Any] = {}
    for what, name in (("hops", "one message"), ("retry", "one message with a retry")):
        seen = run_probe(repo, what)
        for actor, counts in seen["threads"].items():
            rows[f"{name}, {actor}: calls / modules / hops"] = " / ".join(map(str, counts.values()))
        rows["observers that a fact is told"] = seen["observers_per_fact"]
    for events in (1, 20, 1000):
        name = f"questions to the mailboxes per read, registered events: {events:,}"
        details[name] = run_probe(repo, "questions", events)
        rows[name] = details[name]["questions"]
        rows[f"{name} (with what its thread calls in other modules)"] = round(
            sum(details[name]["by_whole_thread"].values()), 2
        )
    for events in (1, 1000):
        name = f"fetcher's CPU per idle read (µs), registered events: {events:,}"
        details[name] = run_probe(repo, "idle", events)
        rows[name] = details[name]["cpu_us"]
    return {"rows": rows, "details": details}


def run_probe(repo: Path, what: str, events: int = 1) -> dict[str, Any]:
    """Measure in a process of its own, by the checkout's own interpreter if it has one."""
    own = repo / ".venv/bin/python"
    interpreter = str(own) if own.exists() else sys.executable
    path = os.pathsep.join([str(repo), str(repo / "telemetry")])
    done = subprocess.run(
        [interpreter, str(HERE.with_name("probe.py")), what, "--events", str(events)],
        cwd=repo,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the probe {what!r} failed:\n{done.stderr[-4000:]}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def table(after: Mapping[str, Value], before: Mapping[str, Value] | None = None) -> str:
    """The rows as a table in Markdown; with ``before`` in two columns, also rows that one of them lacks."""
    if before is None:
        lines = ["| measure | value |", "|---|---|"]
        return "\n".join(lines + [f"| {name} | {value} |" for name, value in after.items()])
    lines = ["| measure | before | after |", "|---|---|---|"]
    names = [*after, *(name for name in before if name not in after)]
    return "\n".join(
        lines + [f"| {name} | {before.get(name, '–')} | {after.get(name, '–')} |" for name in names]
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, default=Path(), help="the checkout (default: where you are)")
    parser.add_argument("--lease-module", help="the end of the path of the module that owns leases")
    parser.add_argument("--source-only", action="store_true", help="run nothing, which takes half a minute")
    parser.add_argument("--json", action="store_true", help="everything, for --against")
    parser.add_argument("--against", type=Path, metavar="FILE.json", help="what --json printed before")
    arguments = parser.parse_args()
    repo = arguments.repo.resolve()
    measures = of_source(Library(repo), lease_module=arguments.lease_module)
    if not arguments.source_only:
        running = of_running(repo)
        measures = {
            "rows": {**running["rows"], **measures["rows"]},
            "details": {**running["details"], **measures["details"]},
        }
    if arguments.json:
        print(json.dumps(measures, indent=1, ensure_ascii=False))
    else:
        before: Measures | None = json.loads(arguments.against.read_text()) if arguments.against else None
        print(table(measures["rows"], before["rows"] if before else None))


if __name__ == "__main__":
    main()
