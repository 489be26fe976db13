"""The demo's story is true, and adds up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

from streamix_queue.cli.demo.walkthrough import Walkthrough
from streamix_queue.embedded import EmbeddedServer
from tests.support.command import Running, streamix
from tests.support.processes import wait_until_gone

ATTEMPT = re.compile(
    r"^ *(?P<at>[\d.]+) s  billing   order (?P<order>\d)  (?P<id>[0-9a-f]{8})  attempt (?P<attempt>\d)  "
    r"(?:after (?P<after>\d+) ms  )?(?:(?P<charged>charged in \d+ ms)|failed: [^;]+; "
    r"(?:again in (?P<again>\d+) ms|(?P<dead>dead-lettered)))$"
)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    ended = streamix("demo")
    assert (ended.code, ended.err) == (0, ""), ended.err + ended.out
    return ended.out.splitlines()


@pytest.fixture(scope="module")
def attempts(lines: list[str]) -> list[dict[str, str | None]]:
    return [match.groupdict() for match in map(ATTEMPT.match, lines) if match]


def test_the_story_is_short_enough_to_be_read(lines: list[str]) -> None:
    assert 20 <= len(lines) <= 32
    assert max(map(len, lines)) <= 120
    assert lines[-1] == "It adds up."


def test_every_attempt_is_told_in_its_order(attempts: list[dict[str, str | None]]) -> None:
    assert len({(a["order"], a["id"]) for a in attempts}) == 8
    history: dict[str | None, list[str | None]] = {}
    for attempt in attempts:
        ending = "charged" if attempt["charged"] else "dead" if attempt["dead"] else "again"
        history.setdefault(attempt["order"], []).append(ending)
    assert Counter(map(tuple, history.values())) == {
        ("charged",): 5,
        ("again", "charged"): 1,
        ("again", "again", "charged"): 1,
        ("again", "again", "again", "dead", "charged"): 1,
    }


def test_waits_are_those_that_were_announced_and_grow(attempts: list[dict[str, str | None]]) -> None:
    announced: dict[str | None, list[int]] = {}
    waited: dict[str | None, list[int]] = {}
    for attempt in attempts:
        if attempt["after"]:
            waited.setdefault(attempt["order"], []).append(int(attempt["after"]))
        if attempt["again"]:
            announced.setdefault(attempt["order"], []).append(int(attempt["again"]))
    assert announced.keys() == waited.keys()
    for order, waits in announced.items():
        assert waits == sorted(waits)
        assert all(real >= wait - 20 for real, wait in zip(waited[order], waits, strict=True))


def test_the_dead_letter_is_named_replayed_and_handled(lines: list[str]) -> None:
    (letter,) = (
        re.search(r"dead letter (\d+-\d+): order 7 in group billing, (\w+) after 4", line)
        for line in lines
        if "dead letter " in line and "operator" in line
    )
    assert letter is not None
    assert letter[2] == "retries_exhausted"
    assert any(f"streamix dlq replay {letter[1]}: 1 replayed" in line for line in lines)


def test_the_sum_is_that_of_the_story(lines: list[str], attempts: list[dict[str, str | None]]) -> None:
    summary = "\n".join(lines[-6:])
    assert "8 orders charged = 5 at the first attempt + 2 after retries + 1 after a replay" in summary
    assert f"{sum(bool(a['again']) for a in attempts)} retries" in summary
    assert "8 charges in billing, 0 dead letters left" in summary
    assert "8 messages in mailer" in summary


def test_it_says_so_and_fails_when_it_does_not_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedServer() as server:
        story = Walkthrough(server)
        story._mailer.seen.append("a message of another group")

        problems = story.run()

    assert problems == ["mailer got 9 messages, not each of 8 once"]
    assert capsys.readouterr().out.endswith("It does not add up.\n")


def test_ctrl_c_ends_it_and_leaves_no_server(start: Callable[..., Running]) -> None:
    command = start("demo")
    command.wait_for_out("published")

    command.press_ctrl_c()

    ended = command.wait()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    wait_until_gone(command.pid)
