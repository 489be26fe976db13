"""The metrics pages of consumers: how one is fetched, and the samples of it that `streamix top` reads."""

from __future__ import annotations

import http.client
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

__all__ = [
    "DURATION",
    "PROCESSED",
    "RESTARTS",
    "WORKERS",
    "Page",
    "PageUnreadable",
    "Series",
    "Values",
    "fetch",
    "read_page",
    "where",
]

_MAX_PAGE = 8 * 1024 * 1024
_TIMEOUT_S = 1.0
PROCESSED = "streamix_processed_messages_total"
DURATION = "streamix_process_duration_seconds_bucket"
WORKERS = "streamix_workers"
RESTARTS = "streamix_worker_restarts_total"
_READ = frozenset({PROCESSED, DURATION, WORKERS, RESTARTS})


class PageUnreadable(Exception):
    """A page that cannot be fetched, or is none; the text says why."""


class Series(NamedTuple):
    """A sample's name and its labels, sorted."""

    name: str
    labels: tuple[tuple[str, str], ...]

    def label(self, name: str) -> str:
        """The value of a label, empty if there is none."""
        return next((value for key, value in self.labels if key == name), "")


Values = Mapping[Series, float]


@dataclass(frozen=True)
class Page:
    """A page as it was at one moment (monotonic, in seconds)."""

    at_s: float
    values: Values


def where(url: str) -> str | None:
    """Host and port of a page, without what may be secret; None if the URL cannot be."""
    try:
        place = urlsplit(url)
        known = place.scheme == "http" and place.hostname and url.isascii() and url.isprintable()
        return f"{place.hostname}:{place.port or 80}" if known else None
    except ValueError:
        return None


def fetch(url: str) -> Page:
    """Read a page; a second for each step, two at most. Raises `PageUnreadable`."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", place.path if place.path.strip("/") else "/metrics")
        answer = connection.getresponse()
        body = _body(answer)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PageUnreadable(str(error) or type(error).__name__) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise PageUnreadable(f"status {answer.status}")
    return Page(time.monotonic(), read_page(body.decode(errors="replace")))


def _body(answer: Any) -> bytes:
    body, deadline = bytearray(), time.monotonic() + _TIMEOUT_S
    while chunk := answer.read1(65_536):
        body += chunk
        if len(body) > _MAX_PAGE:
            raise PageUnreadable("the page is too large")
        if time.monotonic() > deadline:
            raise PageUnreadable("the page comes too slowly")
    return bytes(body)


def read_page(text: str) -> Values:
    """The samples of a page that `streamix top` uses. Raises `PageUnreadable`."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - of an extra

    values: dict[Series, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in _READ and math.isfinite(sample.value):
                    values[Series(sample.name, tuple(sorted(sample.labels.items())))] = sample.value
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):  # the parser's ways to say no
        raise PageUnreadable("it is no page of metrics") from None
    return values
