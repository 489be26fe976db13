"""The tables in ``telemetry/README.md``: ``python -m tests.observability.reference`` writes them anew."""

from __future__ import annotations

import re
import sys

from streamix_telemetry.catalogue import CATALOGUE
from tests.observability.repository import ALERTS, REPO

__all__ = ["README", "TABLES", "section", "written"]

README = REPO / "telemetry" / "README.md"


def _metrics() -> str:
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        meaning = metric.help + (" Only where it was asked for." if metric.optional else "")
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {meaning} |")
    return "\n".join(rows)


def _alerts() -> str:
    rows = ["| alert | severity | fires when |", "|---|---|---|"]
    for alert in ALERTS:
        runbook = (REPO / "telemetry" / "runbooks" / f"{alert}.md").read_text(encoding="utf-8")
        match = re.search(r"^Severity: \*\*(\w+)\*\*\. (.+)$", runbook, re.MULTILINE)
        assert match is not None, alert
        when = re.sub(r"\s*\(and there were more than 50 of them\)", "", match[2])
        rows.append(f"| [{alert}](runbooks/{alert}.md) | {match[1]} | {when} |")
    return "\n".join(rows)


TABLES = {"metrics": _metrics, "alerts": _alerts}


def section(text: str, name: str) -> str:
    """What stands between the two marks of a table."""
    match = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", text, re.DOTALL)
    assert match is not None, f"no marks for {name} in {README}"
    return match[1]


def written(text: str) -> str:
    """``text`` with its tables made anew."""
    for name, table in TABLES.items():
        text = text.replace(section(text, name), table())
    return text


def main() -> int:
    """Write them."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
