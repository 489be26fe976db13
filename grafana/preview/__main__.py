"""``python -m grafana.preview``: make the pictures of ``grafana/README.md`` anew.

Needs Chromium, Prometheus, Node with npm, and two minutes. It plays the scene of the live tests, asks
its Prometheus what Grafana would ask, and lets a headless browser draw the answers with Grafana's
own components (`@grafana/ui`). There is no Grafana server in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from grafana.generator.__main__ import DASHBOARDS
from grafana.preview.answers import answers
from tests.observability.repository import ALERTS
from tests.observability.scene import Scene

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parent / "pictures"
WIDTH = 1700
_CELL, _GAP, _HEAD = 30, 8, 120  # as in page.jsx
_SCENE_S = 75.0

CHOSEN = {
    "stream": ["audit", "emails", "invoices", "orders", "payments", "reports", "stock"],
    "group": ["audit", "billing", "invoicing", "mailer", "payments", "reports", "stock"],
}
"""In the dashboards' variables: seven of the eleven streams, or the legends would be all there is."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Preview</title>
<link rel="stylesheet" href="page.css">
<style>body {{ margin: 0; background: #111217 }}</style>
<div id="page"></div>
<script>window.PREVIEW = {data};</script>
<script src="page.js"></script>
</html>
"""


def main() -> int:
    """Make them; 1 if a program is missing."""
    if missing := [name for name in ("npm", "npx", "chromium", "prometheus") if shutil.which(name) is None]:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="streamix-pictures-") as name:
        folder = Path(name)
        _bundle(folder)
        for board, data in _collected(folder / "scene").items():
            _photograph(board, data, folder)
    return 0


def _collected(folder: Path) -> dict[str, dict[str, Any]]:
    """Everything that the pages show, of the same moment."""
    folder.mkdir()
    with Scene(folder) as scene:
        scene.play()
        while time.time() < scene.began + _SCENE_S and set(scene.firing()) != set(ALERTS):
            time.sleep(0.5)
        time.sleep(3)  # a little more to see than the moment in which the last alert fires
        end = time.time()
        chosen = {name: ", ".join(values) for name, values in CHOSEN.items()}
        return {
            name: {
                "board": board.json(),
                "answers": answers(scene.prometheus, name, scene.began, end, CHOSEN),
                "chosen": {"datasource": "Prometheus", **chosen},
                "span": {"from": int(scene.began) * 1000, "to": int(end) * 1000},
            }
            for name, board in DASHBOARDS.items()
        }


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is missing"
    return path


def _bundle(folder: Path) -> None:
    """Page and components as one script. What npm fetches stays in this folder."""
    if not (HERE / "node_modules").exists():
        options = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--legacy-peer-deps"]
        subprocess.run([_program("npm"), "install", "--silent", *options], cwd=HERE, check=True)
    options = [
        "--bundle",
        "--minify",
        "--alias:react-custom-scrollbars-2=./scrollbars.js",
        "--jsx=automatic",
        "--log-level=error",
        f"--outdir={folder}",
    ]
    options += [f"--loader:.{kind}=dataurl" for kind in ("svg", "woff", "woff2", "ttf")]
    options += ['--define:process.env.NODE_ENV="production"']
    subprocess.run([_program("npx"), "esbuild", "page.jsx", *options], cwd=HERE, check=True)


def _photograph(name: str, data: dict[str, Any], folder: Path) -> None:
    page = folder / f"{name}.html"
    script = json.dumps(data).replace("</", "<\\/")
    page.write_text(_PAGE.format(data=script), encoding="utf-8")
    cells = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in data["board"]["panels"])
    picture = PICTURES / f"{name}.png"
    with tempfile.TemporaryDirectory(prefix="streamix-chromium-") as profile:
        command = [_program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
        command += ["--disable-sync", f"--user-data-dir={profile}", "--hide-scrollbars"]
        command += [f"--window-size={WIDTH},{cells * (_CELL + _GAP) + _HEAD}"]
        command += ["--virtual-time-budget=8000", f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    print(picture)


if __name__ == "__main__":
    sys.exit(main())
