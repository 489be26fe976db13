"""A real Prometheus on loopback, which scrapes what it is told to, and is asked over HTTP."""

from __future__ import annotations

import json
import shutil
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from streamix_queue.local_server.loopback import free_loopback_port
from streamix_queue.local_server.process import OwnedProcess

__all__ = ["Prometheus"]

_READY_S = 30.0
Sample = tuple[dict[str, str], list[float]]


class Prometheus:
    """Started by the constructor; scrapes and evaluates once a second.

    Args:
        folder: Where it keeps its data and configuration.
        rule_files: Rules that it evaluates.
    """

    def __init__(self, folder: Path, rule_files: Sequence[Path] = ()) -> None:
        program = shutil.which("prometheus")
        assert program, "prometheus is missing: apt-get install prometheus"
        folder.mkdir(exist_ok=True)
        self._targets = folder / "targets.json"
        self._groups: dict[str, dict[str, Any]] = {}
        self._write_targets()
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [
                {
                    "job_name": "streamix",
                    "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "1s"}],
                }
            ],
        }
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self.port = free_loopback_port()
        self._log = folder / "prometheus.log"
        command = [
            program,
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--enable-feature=exemplar-storage",
            "--query.lookback-delta=10s",  # in proportion to the interval
            "--log.level=warn",
        ]
        self._process = OwnedProcess(
            command, log=self._log, death_signal=signal.SIGKILL, thread_name="prometheus"
        )
        self._await_ready()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def scrape(self, job: str, instance: str, port: int) -> None:
        """Scrape a page from now on."""
        labels = {"job": job, "instance": instance}
        self._groups[instance] = {"targets": [f"127.0.0.1:{port}"], "labels": labels}
        self._write_targets()

    # --- questions ------------------------------------------------------------------------------

    def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """The vector that ``expr`` is, now or at a Unix time."""
        answer = self.ask("query", {"query": expr, **({} if at is None else {"time": f"{at:.3f}"})})
        if answer["resultType"] == "scalar":
            return [({}, [float(answer["result"][1])])]
        return [(each["metric"], [float(each["value"][1])]) for each in answer["result"]]

    def query_range(self, expr: str, start: float, end: float, step: float = 1.0) -> list[Sample]:
        """The series that ``expr`` is between two Unix times."""
        query = {"query": expr, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return [
            (each["metric"], [float(value) for _, value in each["values"]])
            for each in self.ask("query_range", query)["result"]
        ]

    def ask(self, what: str, query: Mapping[str, str]) -> Any:
        """The data of an answer of its API."""
        body = urllib.parse.urlencode(query)
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{body}", timeout=20) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    # --- life -----------------------------------------------------------------------------------

    def close(self) -> None:
        """End it."""
        self._process.end(5)

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_targets(self) -> None:
        # Renamed into place, for it is read whenever it changes.
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps(list(self._groups.values())))
        new.rename(self._targets)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            assert not self._process.exited, self._log.read_text()
            assert time.monotonic() < deadline, f"Prometheus is not ready: {self._log.read_text()}"
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
