"""What a scenario found: rows of figures, judged, as JSON and as text."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from load import machine as here


@dataclass
class Row:
    """One contestant: its figures, each once per round.

    Attributes:
        name: As the table shows it.
        figures: Figure → its value in each round; the first is what ratios and plots are made of.
        messages, lost, duplicates, unsettled: Added up over the rounds.
        note: Settings that one has to know, such as when a peer acks.
        error: Why there are no figures.
        ours: To be told apart in a plot.
    """

    name: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    messages: int = 0
    lost: int = 0
    duplicates: int = 0
    unsettled: int = 0
    note: str = ""
    error: str = ""
    ours: bool = True

    def add(self, figures: dict[str, float], *, messages: int = 0, lost: int = 0, duplicates: int = 0,
            unsettled: int = 0) -> None:  # fmt: skip
        """One more round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)
        self.messages += messages
        self.lost += lost
        self.duplicates += duplicates
        self.unsettled += unsettled

    def median(self, figure: str) -> float:
        """NaN if it was never measured."""
        values = self.figures.get(figure)
        return statistics.median(values) if values else math.nan

    @property
    def sound(self) -> bool:
        """True if nothing was lost, came twice or was left unsettled."""
        return not (self.lost or self.duplicates or self.unsettled or self.error)


@dataclass
class Bar:
    """A promise about a figure, kept or not."""

    text: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """False also when there is no value."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass
class Result:
    """One scenario's run.

    Attributes:
        floor: The row that the ratio column compares with; "" for none.
        series: Plotted lines: name → [(x, y)], with ``axes`` naming both.
    """

    scenario: str
    question: str
    parameters: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    floor: str = ""
    server: str = ""
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    axes: tuple[str, str] = ("", "")
    versions: dict[str, str] = field(default_factory=here.versions)
    machine: dict[str, Any] = field(default_factory=here.describe)
    commit: str = field(default_factory=here.commit)
    at: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    def row(self, name: str, **more: Any) -> Row:
        """The row of that name, made if it is missing."""
        for row in self.rows:
            if row.name == name:
                return row
        self.rows.append(Row(name, **more))
        return self.rows[-1]

    @property
    def sound(self) -> bool:
        """Whether this run may be shown: no row of ours, nor the floor, is unsound.

        What a peer loses, or that it could not be installed, is its row's to tell.
        """
        return all(row.sound for row in self.rows if row.ours or row.name == self.floor)

    def ratio(self, row: str, floor: str, figure: str) -> float:
        return ratio(self.row(row), self.row(floor), figure)

    def save(self, directory: Path) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.scenario}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> Result:
        value = json.loads(path.read_text(encoding="utf-8"))
        value["rows"] = [Row(**row) for row in value["rows"]]
        value["bars"] = [Bar(**bar) for bar in value["bars"]]
        value["series"] = {name: [(x, y) for x, y in line] for name, line in value["series"].items()}
        value["axes"] = tuple(value["axes"])
        return cls(**value)


def ratio(row: Row, floor: Row, figure: str) -> float:
    """Median of the ratios of each round: what slowed down a whole round cancels out."""
    pairs = zip(row.figures.get(figure, ()), floor.figures.get(figure, ()), strict=False)
    ratios = [ours / theirs for ours, theirs in pairs if theirs > 0]
    return statistics.median(ratios) if ratios else math.nan


def number(value: float) -> str:
    """Three or more digits, as a person reads them."""
    if math.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def table(result: Result) -> list[list[str]]:
    """The rows as cells, the heading first."""
    figures = list(dict.fromkeys(figure for row in result.rows for figure in row.figures))
    heading = ["", *figures]
    if result.floor:
        heading.append(f"ratio to {result.floor}")
    heading += ["lost", "duplicates", "of messages", "note"]
    return [heading, *(_cells(result, row, figures) for row in result.rows)]


def _cells(result: Result, row: Row, figures: Sequence[str]) -> list[str]:
    if row.error:
        empty = [""] * (len(figures) + bool(result.floor) + 3)
        return [row.name, *empty, f"not measured: {row.error.splitlines()[0]}"]
    cells = [row.name]
    for figure in figures:
        values = row.figures.get(figure, [])
        spread = f" ({number(min(values))} – {number(max(values))})" if len(values) > 1 else ""
        cells.append(number(row.median(figure)) + spread)
    if result.floor:
        value = ratio(row, result.row(result.floor), figures[0]) if figures else math.nan
        cells.append("–" if math.isnan(value) else f"{value:.2f}")
    unsettled = f"{row.unsettled} left unsettled. " if row.unsettled else ""
    return [*cells, str(row.lost), str(row.duplicates), f"{row.messages:,}", unsettled + row.note]


def text(result: Result) -> str:
    """The table and the bars, for a terminal."""
    lines = [f"{result.scenario}: {result.question}"]
    cells = table(result)
    if not any(row[-1] for row in cells[1:]):
        cells = [row[:-1] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *middle, last = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([first.strip().ljust(widths[0]), *middle, last.strip()]).rstrip())
    lines += [f"{verdict(bar)}: {bar.text}: {number(bar.value)}" for bar in result.bars]
    if not result.sound:
        lines.append("FAILED: messages were lost, duplicated or left unsettled, or a contestant did not run")
        lines += [f"  {row.name}: {row.error}" for row in result.rows if row.error and row.ours]
    return "\n".join(lines)


def verdict(bar: Bar) -> str:
    return "met" if bar.met else "NOT MET"
