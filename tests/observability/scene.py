"""The scene: a real Prometheus over real services, some of which have real faults.

It takes about forty seconds and serves every live test, and the pictures: the services run at
the same time, and a service that is healthy has to stay unaffected beside those that are not.
``python -m tests.observability.scene SECONDS`` keeps it up and prints where Prometheus is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from streamix_queue.local_server.process import OwnedProcess
from tests.observability.live_rules import live_rules
from tests.observability.prometheus_server import Prometheus
from tests.observability.roles import FAULTS
from tests.support.servers import Server, require

__all__ = ["HEALTHY", "Scene"]

HEALTHY = {"job": "billing", "stream": "orders", "group": "billing"}

_REPO = Path(__file__).resolve().parents[2]
_WITHIN_S = 60.0
_WARM_UP_S = 4.0
_FROZEN_S = 3.5  # over the lease
_ABANDONED_S = 25 * 3600.0  # over the day that everything is kept
_LATE_S = 7.0  # over what the service level allows


class Scene:
    """Played by `play`; then it stands for as long as it is open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = self.faults_began = self.ended = 0.0
        self._stack = ExitStack()
        self._processes: dict[str, OwnedProcess] = {}
        try:
            require("valkey9")
            self.redis = self._stack.enter_context(Server.start("valkey9"))
            self._lonely_redis = self._stack.enter_context(Server.start("valkey9"))
            (folder / "rules").mkdir()
            self.prometheus = self._stack.enter_context(
                Prometheus(folder / "prometheus", live_rules(folder / "rules"))
            )
        except BaseException:
            self._stack.close()
            raise

    # --- what happens ---------------------------------------------------------------------------

    def play(self) -> None:
        """Everything in order; afterwards the faults are there and go on."""
        self._leave_a_group_behind()
        for name in ("billing", "faulty", "doomed", "auditor", "successor", "shop"):
            self._start(name, self.redis)
        self._start("stranded", self._lonely_redis)
        for name in self._processes:
            self._scrape(name)
        self._until(lambda: len(self.prometheus.query("up == 1")) == len(self._processes), "all are scraped")
        self.began = time.time()
        _let_pass(_WARM_UP_S)
        for name in ("auditor", "doomed"):
            self._until(partial(self._is_at_work, name), f"{name} is at work")
        self.faults_began = time.time()
        (self.folder / FAULTS).touch()
        self._trim_what_is_pending()
        self._processes["doomed"].send_signal(signal.SIGKILL)
        self._lonely_redis.kill()
        self._processes["auditor"].send_signal(signal.SIGSTOP)
        _let_pass(_FROZEN_S)
        self._processes["auditor"].send_signal(signal.SIGCONT)
        _let_pass(_LATE_S - _FROZEN_S)
        self._trim_what_was_read()
        self._start("mailer", self.redis)
        self._scrape("mailer")

    def _leave_a_group_behind(self) -> None:
        """As a service does that was taken out of use a day ago, and has left its group."""
        then = f"{round((time.time() - _ABANDONED_S) * 1000)}-0"
        with self.redis.client() as client:
            client.xadd("orders", {"message": "of yesterday"}, id=then)
            client.xgroup_create("orders", "abandoned", "0")
            client.xgroup_create("orders", "billing", then)

    def _is_at_work(self, name: str) -> bool:
        return bool(self.prometheus.query(f'streamix_inflight_messages{{job="{name}"}} > 0'))

    def _trim_what_is_pending(self) -> None:
        with self.redis.client() as client:
            client.xtrim("stock", maxlen=0, approximate=False)

    def _trim_what_was_read(self) -> None:
        """As somebody does who keeps the stream short without a look at its groups."""
        with self.redis.client() as client:
            (group,) = client.xinfo_groups("invoices")
            client.xtrim("invoices", minid=group["last-delivered-id"], approximate=False)
            first = client.xrange("invoices", count=1)[0][0]
            client.xdel("invoices", first)

    # --- what a test asks -----------------------------------------------------------------------

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """Alert → the labels with which it has fired since the beginning."""
        expr = 'ALERTS{alertstate="firing"}'
        found: dict[str, list[dict[str, str]]] = {}
        for labels, _ in self.prometheus.query_range(expr, self.began, time.time()):
            found.setdefault(labels["alertname"], []).append(labels)
        return found

    def wait_until_firing(self, alert: str) -> list[dict[str, str]]:
        """Its labels, once it has fired."""
        self._until(lambda: alert in self.firing(), f"{alert} fires")
        return self.firing()[alert]

    def trace_ids(self) -> set[str]:
        """Of every span that was exported."""
        return set((self.folder / "traces.txt").read_text(encoding="ascii").split())

    def page(self, name: str) -> int:
        """The port of the page of a service."""
        found: dict[str, int] = json.loads((self.folder / f"{name}.port").read_text())
        return found["port"]

    def log(self, name: str) -> str:
        """What a service said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- life -----------------------------------------------------------------------------------

    def close(self) -> None:
        """End everything."""
        for process in self._processes.values():
            process.send_signal(signal.SIGKILL)  # frozen or not
        for process in self._processes.values():
            process.wait(10)
        self._stack.close()

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, name: str, server: Server) -> None:
        path = os.pathsep.join([str(_REPO), str(_REPO / "telemetry")])
        command = ["/usr/bin/env", f"PYTHONPATH={path}", sys.executable, "-m", "tests.observability.roles"]
        self._processes[name] = OwnedProcess(
            [*command, name, str(self.folder), server.url],
            log=self.folder / f"{name}.log",
            death_signal=signal.SIGKILL,
            thread_name=f"scene-{name}",
        )

    def _scrape(self, name: str) -> None:
        path = self.folder / f"{name}.port"
        self._until(lambda: path.exists() or self._processes[name].exited, f"{name} tells its port")
        assert path.exists(), self.log(name)
        self.prometheus.scrape(name, f"{name}-1", self.page(name))

    def _until(self, there: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + _WITHIN_S
        while not there():
            assert time.monotonic() < deadline, f"in vain for {_WITHIN_S:g} s: {what}"
            time.sleep(0.2)


def _let_pass(seconds: float) -> None:
    """Time is what the scene is made of: ages grow, leases lapse."""
    time.sleep(seconds)


def main(seconds: float) -> None:
    """Keep it up, for a person or a browser to look at."""
    with tempfile.TemporaryDirectory(prefix="streamix-scene-") as folder, Scene(Path(folder)) as scene:
        scene.play()
        print(scene.prometheus.url, flush=True)
        _let_pass(seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]))
