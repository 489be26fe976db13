"""Pages of metrics, read as Prometheus reads them."""

from __future__ import annotations

import http.client
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

__all__ = ["OPENMETRICS", "Answer", "Page", "get", "promtool_check"]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    body: str


def get(port: int, path: str, accept: str = "", method: str = "GET", timeout: float = 10.0) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        response = connection.getresponse()
        return Answer(response.status, response.headers["Content-Type"], response.read().decode())
    finally:
        connection.close()


class Page:
    """The samples of a page; parsing it fails if it is no page."""

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        self.text = text
        parse = parse_openmetrics if openmetrics else parse_text
        self.families = list(parse(text))
        self._samples: list[Sample] = [sample for family in self.families for sample in family.samples]

    @classmethod
    def of(cls, registry: CollectorRegistry) -> Page:
        return cls(generate_latest(registry).decode())

    @classmethod
    def at(cls, port: int) -> Page:
        return cls(get(port, "/metrics").body)

    def samples(self, name: str, **labels: str) -> Iterator[Sample]:
        for sample in self._samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples; NaN if there is none, which equals nothing."""
        found = [sample.value for sample in self.samples(name, **labels)]
        return sum(found) if found else math.nan

    def has(self, name: str, **labels: str) -> bool:
        return any(True for _ in self.samples(name, **labels))


def promtool_check(text: str) -> str:
    """What ``promtool check metrics`` says of a page, "" if it has nothing to say."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):  # (an assert of it would print the whole environment)
            pytest.fail("promtool is missing: apt-get install prometheus")
        pytest.skip("promtool is not installed (Debian package prometheus)")
    answer = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    said = answer.stdout + answer.stderr
    assert (answer.returncode == 0) == (not said), said
    return said
