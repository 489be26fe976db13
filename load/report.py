"""Writes what was measured into a README, between two markers, with pictures beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from load import plots
from load.results import Bar, Result, number, table, verdict
from load.scenarios import SCENARIOS

BEGIN, END = "<!-- results: written by `python -m load report` -->", "<!-- end of results -->"


def write(directory: Path, readme: Path) -> int:
    """Tables and pictures of all results in ``directory``; 1 if one of them is not sound."""
    results = read(directory)
    if not results:
        print(f"{directory}: no results", file=sys.stderr)
        return 1
    page = readme.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        print(f"{readme}: the markers {BEGIN!r} and {END!r} are missing", file=sys.stderr)
        return 1
    pictures = plots.draw(results, readme.parent / "plots")
    parts = [_machine(results), *(_section(result, pictures.get(result.scenario)) for result in results)]
    readme.write_text(before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after, encoding="utf-8")
    unsound = [result.scenario for result in results if not result.sound]
    if unsound:
        print(f"not sound: {', '.join(unsound)}", file=sys.stderr)
    return 1 if unsound else 0


def read(directory: Path) -> list[Result]:
    """The results in ``directory``, in the order of the scenarios."""
    found = {path.stem: path for path in directory.glob("*.json")}
    return [Result.load(found[name]) for name in SCENARIOS if name in found]


def _machine(results: list[Result]) -> str:
    """Once, for a run of all; each that differs says so itself."""
    first = results[0]
    about = first.machine
    machine = f"{about['cores']} cores, {about['cpu']}, {about['system']}"
    software = f"{about['python']}, {first.server}, {_versions(first.versions)}"
    lines = [
        f"Measured on {machine}; {software}; commit {first.commit or 'unknown'}, {first.at[:10]}.",
        "",
        "Each figure is the median of the rounds, with the lowest and the highest in brackets.",
        "A ratio is the median of the ratios of each round.",
    ]
    return "\n".join(lines)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _section(result: Result, picture: Path | None) -> str:
    lines = [f"### {result.scenario}", "", result.question, "", *_markdown(table(result)), ""]
    lines += [_bar(bar) for bar in result.bars]
    lines += [""] if result.bars else []
    if ahead := _ahead(result):
        lines += [f"Ahead of ours: {ahead}.", ""]
    if not result.sound:
        lines += ["**Not sound: messages were lost or came twice, or a contestant did not run.**", ""]
    settings = {name: value for name, value in result.parameters.items() if name != "environments"}
    lines.append(
        "Settings: " + ", ".join(f"{name} {_plain(value)}" for name, value in settings.items()) + "."
    )
    if environments := result.parameters.get("environments"):
        lines += ["", *_environments(environments)]
    if picture is not None:
        lines += ["", f"![{result.scenario}: {result.question}](plots/{picture.name})"]
    return "\n".join(lines)


def _markdown(cells: list[list[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    rule = ["---", *["---:"] * (len(cells[0]) - 2), "---"]
    return ["| " + " | ".join(row) + " |" for row in (escaped[0], rule, *escaped[1:])]


def _bar(bar: Bar) -> str:
    mark = "✓" if bar.met else "✗"
    return f"* {mark} {verdict(bar)}: {bar.text}: **{number(bar.value)}**"


def _ahead(result: Result) -> str:
    """The rows of others that beat the best of ours, figure by figure: they are to be named."""
    ours = [row for row in result.rows if row.ours and row.figures]
    others = [row for row in result.rows if not row.ours and row.figures]
    found = []
    for figure in dict.fromkeys(figure for row in ours for figure in row.figures):
        lower_is_better = figure.endswith(("ms", "MB", "core", "commands/s", "trips/s"))
        best = (min if lower_is_better else max)(row.median(figure) for row in ours)
        for row in others:
            value = row.median(figure)
            if (value < best) if lower_is_better else (value > best):
                found.append(f"{row.name} in {figure} ({number(value)} to {number(best)})")
    return "; ".join(found)


def _environments(environments: dict[str, dict[str, object]]) -> list[str]:
    lines = ["<details><summary>What was installed for each</summary>", ""]
    for name, about in environments.items():
        packages = about["packages"]
        assert isinstance(packages, list)
        lines.append(f"* {name}: Python {about['python']}; {', '.join(packages)}")
    return [*lines, "", "</details>"]


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
