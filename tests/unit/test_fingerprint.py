"""Errors that differ only by the message they are about have one fingerprint."""

from __future__ import annotations

import time

import pytest

from streamix_queue.core.fingerprint import fingerprint

EVENT = "order.placed"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 has no lines", "order 90210 has no lines"),
        ("took 1.5 s", "took 30 s"),
        ("balance is -3", "balance is 12.50"),
        ("no user 'ada'", "no user 'grace hopper'"),
        ('no user "ada"', 'no user "x"'),
        ("bad bytes b'\\x00'", "bad bytes b'abc'"),
        ("{'n': 1} is wrong", "{'m': 22} is wrong"),
        ("at 0x7f3a90", "at 0xDEAD"),
        ("sha 9fceb02d0ae598e95dc970b74767f19372d61af8", "sha 0123456789"),
        (
            "message 11111111-1111-4111-8111-111111111111 is gone",
            "message abcdefab-cdef-4abc-8def-abcdefabcdef is gone",
        ),
        ("at 2026-04-01T10:00:00+00:00", "at 1999-12-31T23:59:59+01:00"),
        ("two\n  lines", "two lines "),
    ],
)
def test_what_differs_by_message_does_not_count(one: str, other: str) -> None:
    assert fingerprint(EVENT, "ValueError", one) == fingerprint(EVENT, "ValueError", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((EVENT, "ValueError", "x"), (EVENT, "TypeError", "x")),
        ((EVENT, "ValueError", "x"), ("order.paid", "ValueError", "x")),
        ((EVENT, "ValueError", "no such user"), (EVENT, "ValueError", "no such order")),
        ((EVENT, "ValueError", "facade"), (EVENT, "ValueError", "decade")),
        ((EVENT, "E", "it doesn't fit, it can't"), (EVENT, "E", "it doesn't go, it can't")),
        (("a", "b", "c"), ("a\0b", "", "c")),
    ],
)
def test_what_tells_errors_apart_counts(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert fingerprint(*one) != fingerprint(*other)


def test_it_is_short_and_the_same_for_ever() -> None:
    assert fingerprint(EVENT, "ValueError", "order 17 has no lines") == "677fbe383f"
    assert len(fingerprint("", "", "")) == 10


@pytest.mark.parametrize("piece", ["'", '"', "0", "a'", "0x", "-", " ", "\ud800", "1.", "11111111-"])
def test_hostile_text_takes_no_time(piece: str) -> None:
    began = time.perf_counter()

    fingerprint(EVENT, "ValueError", piece * 1_000_000)

    assert time.perf_counter() - began < 0.5
