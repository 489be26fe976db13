"""Payloads are hostile: no terminal obeys them, and JSON stays JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamix_queue.cli.shared.output import document, printable, record

HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "red\x1b[31m",
    "line\r\nbreak",
    "\x9b31mC1",
    "right\u202eto left",
    "\u2028\u2029",
    "\x00\x7f\x08",
    "zero\u200bwidth",
    "tag \U000e0041",
    "lone \udcff",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_steers_a_terminal_comes_through(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert shown != text


@pytest.mark.parametrize("text", ["", "plain", "Jörg – 漢字 🎉", r"C:\dir"])
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("text", HOSTILE[:-1])  # Redis' bytes are decoded before they come here
@pytest.mark.parametrize("output", ["json", "ndjson"])
def test_json_is_safe_to_look_at_and_means_the_same(
    capsys: pytest.CaptureFixture[str], text: str, output: str
) -> None:
    value: dict[str, Any] = {"error": text, text: ["Jörg", 1, None, {"deep": text}]}

    document(output, value)

    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.split("\n"))
    assert "Jörg" in printed
    assert json.loads(printed) == value


def test_a_record_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    record({"text": "a\nb\r\u2028c"})

    assert capsys.readouterr().out.count("\n") == 1
