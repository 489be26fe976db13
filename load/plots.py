"""Pictures of results, made from their JSON alone. Needs matplotlib: ``pip install .[load]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from load.results import Result, Row, number

_OURS, _OTHERS = "#c0392b", "#7f8c8d"


def draw(results: list[Result], directory: Path) -> dict[str, Path]:
    """One PNG for each result that has figures; scenario → file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    directory.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Path] = {}
    for result in results:
        figures = _figures(result)
        if not figures and not result.series:
            continue
        panels = len(figures) + bool(result.series)
        height = max(2.2, 0.45 * len(result.rows) + 1.2)
        canvas, axes = plt.subplots(panels, 1, figsize=(9, height * panels), squeeze=False)
        for axis, figure in zip(axes[:, 0], figures, strict=False):
            _bars(axis, result, figure)
        if result.series:
            _lines(axes[-1, 0], result)
        canvas.suptitle(result.question, fontsize=11, wrap=True)
        canvas.tight_layout()
        path = directory / f"{result.scenario}.png"
        # No time stamp: the same results make the same file.
        canvas.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(canvas)
        drawn[result.scenario] = path
    return drawn


def _figures(result: Result) -> list[str]:
    """What bars are drawn of: the first figure, and of latencies the two that matter."""
    all_figures = list(dict.fromkeys(figure for row in result.rows for figure in row.figures))
    chosen = [figure for figure in all_figures if figure.startswith(("consume", "publish", "p50", "p99 "))]
    return chosen or all_figures[:1]


def _bars(axis: Any, result: Result, figure: str) -> None:
    rows = [row for row in result.rows if row.figures.get(figure)]
    rows.reverse()  # a bar chart grows upwards, a table downwards
    medians = [row.median(figure) for row in rows]
    axis.barh([row.name for row in rows], medians, color=[_colour(result, row) for row in rows], height=0.6)
    spread = [_spread(row, figure) for row in rows]
    axis.errorbar(
        medians, range(len(rows)), xerr=list(zip(*spread, strict=True)), fmt="none", ecolor="black", capsize=3
    )
    for index, median in enumerate(medians):
        axis.annotate(f" {number(median)}", (median, index), va="bottom", fontsize=8)
    positive = [median for median in medians if median > 0]
    wide = bool(positive) and max(positive) > 20 * min(positive)
    if wide:
        axis.set_xscale("log")
    axis.set_xlabel(figure + (" (logarithmic)" if wide else ""))
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)


def _colour(result: Result, row: Row) -> str:
    return _OURS if row.ours and row.name != result.floor else _OTHERS


def _spread(row: Row, figure: str) -> tuple[float, float]:
    values, median = row.figures[figure], row.median(figure)
    return median - min(values), max(values) - median


def _lines(axis: Any, result: Result) -> None:
    for name, line in result.series.items():
        axis.plot([x for x, _ in line], [y for _, y in line], label=name)
    axis.set_xlabel(result.axes[0])
    axis.set_ylabel(result.axes[1])
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
