"""``python -m grafana.generator [--check]``: write the dashboards, or tell whether they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana.generator.consumer import CONSUMER
from grafana.generator.dashboard import Dashboard
from grafana.generator.dead_letters import DEAD_LETTERS
from grafana.generator.overview import OVERVIEW

FOLDER = Path(__file__).resolve().parents[1] / "dashboards"
DASHBOARDS = {"overview": OVERVIEW, "consumer": CONSUMER, "dead-letters": DEAD_LETTERS}


def rendered(dashboard: Dashboard) -> str:
    """As it stands in the file."""
    return json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """1 if --check found a file that is not what the code makes."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m grafana.generator [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, dashboard in DASHBOARDS.items():
        path, text = FOLDER / f"{name}.json", rendered(dashboard)
        if not arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is not what the code makes: python -m grafana.generator", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
