"""The architecture page and CONTRIBUTING, held to the code: each names what the other has, and no more."""

from __future__ import annotations

import ast
import importlib
import io
import re
import shlex
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from streamix_queue.consuming.channel import Channel
from streamix_queue.consuming.crew import Crew
from streamix_queue.core import commands, facts, outcome
from streamix_queue.core.attempt import Attempt, unleased
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.entry import entry_of
from streamix_queue.core.keys import Keys
from streamix_telemetry import logs, settlement_metrics
from streamix_telemetry.catalogue import BY_NAME
from tests.docs.blocks import ROOT
from tests.support.mutants import MUTANTS
from tests.support.servers import KINDS
from tests.test_layers import LAYERS

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
LIBRARY, TELEMETRY = ROOT / "streamix_queue", ROOT / "telemetry" / "streamix_telemetry"
SOURCES = sorted(
    path for top in (LIBRARY, TELEMETRY) for path in top.rglob("*") if path.suffix in (".py", ".lua")
)

NONE = "–"
NO_KEYS = {"stream_name", "group_name", "group"}
"""Fields of `Keys` that are names, and no keys."""
MAKES_SHARED = {
    *(f"threading.{name}" for name in ("Lock", "RLock", "Condition", "Event")),
    *("Future", "PerProcess", "queue.SimpleQueue"),
}
"""What a class makes if several threads have to do with it."""


# --- reading the page -----------------------------------------------------------------------------


def section(page: str, title: str) -> str:
    """What stands under the heading ``title``, deeper headings included."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {title!r}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of all rows of tables in ``text``, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    bodies = [
        line for line, after in zip(lines, [*lines[1:], ""], strict=True) if not after.startswith("|---")
    ]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in bodies
        if not line.startswith("|---")
    ]


def quoted(cell: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", cell)


def differ(there: set[str], named: list[str]) -> list[str]:
    """What only the code has, only the page has, or the page has twice."""
    twice = {f"twice: {name}" for name in named if named.count(name) > 1}
    return sorted({f"not on the page: {name}" for name in there - set(named)} | twice) + sorted(
        f"not in the code: {name}" for name in set(named) - there
    )


def firsts(page: str, title: str) -> list[str]:
    return [quoted(row[0])[0] for row in table(section(page, title))]


# --- what is asked of it --------------------------------------------------------------------------


def house(page: str) -> list[str]:
    text = section(page, "The house")
    drawing = text.partition("```text")[2].partition("```")[0]
    undrawn = [f"not drawn: {name}" for name in LAYERS if not re.search(rf"(?<!\w){name}(?!\w)", drawing)]
    named = firsts(page, "The house")
    order = [] if named == [*reversed(LAYERS)] else ["not in the order of LAYERS, from above"]
    return undrawn + differ(set(LAYERS), named) + order


def whole_map(page: str) -> list[str]:
    named: list[str] = []
    for part in re.split(r"^### ", section(page, "The map"), flags=re.MULTILINE)[1:]:
        folder = quoted(part.partition("\n")[0])[0].removeprefix("streamix_queue/")
        named += [folder + quoted(row[0])[0] for row in table(part)]
    return differ({_named(path) for path in SOURCES if not _only_a_docstring(path)}, named)


def _named(path: Path) -> str:
    return path.relative_to(LIBRARY if path.is_relative_to(LIBRARY) else ROOT).as_posix()


def _only_a_docstring(path: Path) -> bool:
    return path.name == "__init__.py" and len(ast.parse(path.read_text("utf-8")).body) <= 1


def names(page: str) -> list[str]:
    """Files, folders, and what is in them; ``x`` stands for a name that is to be."""
    before_the_map = page.partition("## The map")[0]
    wrong: list[str] = []
    for name, _, part in re.findall(r"`([\w./]+(?:\.(?:py|lua|md|toml)|/))(:([\w.]+))?`", before_the_map):
        if re.search(r"(^|/)(test_)?x\.\w+$", name):
            continue
        tops = (LIBRARY, ROOT, LIBRARY / "broker" / "scripts")
        path = next((top / name for top in tops if (top / name).exists()), None)
        if path is None:
            wrong.append(f"no such file: {name}")
        elif part and not _has(path, part):
            wrong.append(f"nothing of that name: {name}:{part}")
    return wrong


def _has(path: Path, part: str) -> bool:
    top = LIBRARY if path.is_relative_to(LIBRARY) else TELEMETRY
    found: Any = importlib.import_module(".".join(path.relative_to(top.parent).with_suffix("").parts))
    for name in part.split("."):
        found = getattr(found, name, None)
    return found is not None


def threads(page: str) -> list[str]:
    config = ConsumerConfig(concurrency=2)
    crew = Crew(config)
    channel = Channel(config, {}, "me", crew, _no_broker, lambda _: None)
    roles = {re.sub(r"\d+$", "<n>", spec.name) for spec in (*channel.specs(), *crew.specs())}
    named = [quoted(row[0])[0] for row in table(section(page, "Threads")) if quoted(row[0])]
    started = {
        name
        for path in SOURCES
        for name in re.findall(r'name(?:: str)? ?= ?"streamix\.([\w-]+)"', path.read_text("utf-8"))
    }
    return differ(roles | started, named)


def _no_broker(*_: object) -> Any:
    raise AssertionError("nothing is to be asked")


def state(page: str) -> list[str]:
    there = {name: where for name, where, shared in _classes() if shared}
    named = {quoted(row[0])[0]: quoted(row[1])[0] for row in table(section(page, "State and locks"))}
    everywhere = {(name, where) for name, where, _ in _classes()}
    return [f"not on the page: {name} of {there[name]}" for name in sorted(there.keys() - named.keys())] + [
        f"not in the code: {name} of {where}"
        for name, where in named.items()
        if (name, where) not in everywhere
    ]


def _classes() -> Iterator[tuple[str, str, bool]]:
    """(name, where, whether several threads have to do with it)"""
    for path in SOURCES:
        if path.suffix != ".py":
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                calls = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
                where = _named(path)
                yield node.name, where, bool(calls & MAKES_SHARED) or where.startswith("held/")


def endings(page: str) -> list[str]:
    samples = {
        "RetryLater": outcome.RetryLater(1),
        "DeadLetter": outcome.DeadLetter(outcome.Reason.REJECTED),
        **{type(each).__name__: each for each in (outcome.ACK, outcome.DROPPED)},
        **{type(each).__name__: each for each in (outcome.HAND_OVER, outcome.PARK, outcome.HAND_BACK)},
    }
    assert set(samples) == {kind.__name__ for kind in get_args(outcome.Outcome)}
    rows = {quoted(row[0])[0]: row[1:] for row in table(section(page, "The endings"))}
    found = differ(set(samples), list(rows))
    asked = {name for row in rows.values() for name in quoted(row[0])} - {"Verdict.DROPPED"}
    found += differ({kind.__name__ for kind in get_args(commands.Command)}, sorted(asked))
    for name in samples.keys() & rows.keys():
        attempt = unleased(entry_of(b"s", b"1-1", (), 1, "new", 0.0))
        attempt.close(samples[name])
        label, line = settlement_metrics._outcome_label(attempt), _line_of(attempt)
        if [*quoted(rows[name][2]), *quoted(rows[name][3])] != [label, line]:
            found.append(f"{name} has the label {label} and the line {line}")
    return found


def _line_of(attempt: Attempt) -> str:
    written: list[str] = []

    class Sink(logs.Sink):
        def enabled(self, level: int) -> bool:
            return True

        def write(self, level: int, name: str, values: dict[str, Any]) -> None:
            written.append(name)

    observer = logs.LogObserver("s")
    observer._sink = Sink()
    observer.notice(facts.Settled([attempt], 0.0))
    (line,) = written
    return line


def pinned(page: str) -> list[str]:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES)
    return [f"not in the code: {name}" for name in firsts(page, "Pinned names") if name not in text]


def keys(page: str) -> list[str]:
    there = {field.name for field in fields(Keys) if not field.name.startswith("_")} - NO_KEYS | {"inbox"}
    found = differ(there, firsts(page, "The keys"))
    made = Keys("S", "G")
    for row in table(section(page, "The keys")):
        (attribute,), (name,) = quoted(row[0]), quoted(row[1])
        value = made.inbox("E") if attribute == "inbox" else getattr(made, attribute, b"")
        if value.decode() != name:
            found.append(f"{attribute} is {value.decode()}")
    return found


def the_facts(page: str) -> list[str]:
    kinds = {kind.__name__: kind for kind in facts.Fact.__subclasses__()}
    rows = {quoted(row[0])[0]: row[1:] for row in table(section(page, "The facts"))}
    found = differ(set(kinds), firsts(page, "The facts"))
    written = {*logs._LINES, *logs.LogObserver("s")._writers}
    counting = (TELEMETRY / "metrics.py").read_text("utf-8")
    counting = counting.partition("class ConsumerMetrics")[2]
    logged = (TELEMETRY / "logs.py").read_text("utf-8")
    for name in kinds.keys() & rows.keys():
        by, line, counted, _ = rows[name]
        for where in quoted(by)[:-1] if " told by " in by else quoted(by):
            path = ROOT / where if where.startswith("telemetry") else LIBRARY / where
            if not path.exists() or f"{name}(" not in path.read_text("utf-8"):
                found.append(f"{name} is not stated by {where}")
        if line.startswith(NONE) == (kinds[name] in written):
            found.append(f"{name}: has it a line?")
        if (counted == NONE) == bool(re.search(rf"facts\.{name}\b", counting)):
            found.append(f"{name}: has it a metric?")
        found += [f"{name}: no line {each}" for each in quoted(line) if f'"{each}"' not in logged]
        found += [
            f"{name}: no metric {each}"
            for each in quoted(counted)
            if f"streamix_{each}" not in BY_NAME and f"streamix_{each}_total" not in BY_NAME
        ]
    return found


def glossary(page: str) -> list[str]:
    words = [row[0] for row in table(section(page, "Glossary"))]
    found = [f"twice: {word}" for word in words if words.count(word) > 1]
    found += [
        f"not in order: {word}" for word, right in zip(words, sorted(words), strict=True) if word != right
    ]
    retired = {row[0] for row in table(section(page, "Words not to use"))}
    return found + [f"retired as well: {word}" for word in words if word in retired]


CHECKS: list[Callable[[str], list[str]]] = [
    *(house, whole_map, names, threads, state, endings, pinned, keys, the_facts, glossary)
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_page_says_what_is_so(check: Callable[[str], list[str]]) -> None:
    assert check(PAGE) == []


@pytest.mark.parametrize(
    ("check", "right", "wrong", "reason"),
    [
        (house, "| `telling` |", "| `tellers` |", "not on the page: telling"),
        (house, " telling/ ", " tellers/ ", "not drawn: telling"),
        (house, "| `forks` | what", "| `core` | what", "twice: core"),
        (whole_map, "| `alarm.py` |", "| `bell.py` |", "not on the page: held/alarm.py"),
        (
            whole_map,
            "| `clock.lua` |",
            "| `clocks.lua` |",
            "not in the code: broker/scripts/parts/clocks.lua",
        ),
        (names, "`actors/fetcher.py:Fetcher.step`", "`actors/reader.py:Fetcher.step`", "actors/reader.py"),
        (names, "`actors/fetcher.py:Fetcher.step`", "`actors/fetcher.py:Fetcher.walk`", "Fetcher.walk"),
        (names, "`held/`", "`holding/`", "no such file: holding/"),
        (threads, "| `janitor` | `cons", "| `cleaner` | `cons", "not on the page: janitor"),
        (threads, "| `health` |", "| `page` |", "not on the page: health"),
        (state, "| `Alarm` |", "| `Bell` |", "not on the page: Alarm of held/alarm.py"),
        (
            state,
            "| `Credits` | `runtime/credits.py`",
            "| `Credits` | `held/table.py`",
            "Credits of held/table.py",
        ),
        (endings, "| `Park` | `Park` |", "| `Put` | `Park` |", "not on the page: Park"),
        (endings, "and `Absolve` for", "and `Forget` for", "not on the page: Absolve"),
        (endings, "| `drop` | `message", "| `requeue` | `message", "Dropped has the label drop"),
        (endings, "`message.unhandled` | nothing", "`message.moved` | nothing", "the line message.unhandled"),
        (pinned, "| `stuck` | label", "| `stalled_` | label", "not in the code: stalled_"),
        (keys, "| `nudge` |", "| `knock` |", "not on the page: nudge"),
        (keys, "`S:G:upkeep`", "`S:upkeep`", "upkeep is S:G:upkeep"),
        (the_facts, "| `Promoted` |", "| `Moved` |", "not on the page: Promoted"),
        (the_facts, "`lease.lost`", "`lease.gone`", "no line lease.gone"),
        (the_facts, "| `lease.lost` |", "| – |", "LeaseLost: has it a line?"),
        (the_facts, "| `leases_lost` |", "| – |", "LeaseLost: has it a metric?"),
        (the_facts, "| `polls`,", "| `reads`,", "no metric reads"),
        (
            the_facts,
            "| `Renewed` | `actors/renewer.py`",
            "| `Renewed` | `actors/settler.py`",
            "not stated by",
        ),
        (glossary, "| appetite | what", "| actor | what", "twice: actor"),
        (glossary, "| ack | XACK", "| zeal | XACK", "not in order: zeal"),
        (glossary, "| bury, `Bury` |", "| ack |", "retired as well: ack"),
    ],
)
def test_a_planted_mistake_is_found(
    check: Callable[[str], list[str]], right: str, wrong: str, reason: str
) -> None:
    assert right in PAGE

    assert any(reason in found for found in check(PAGE.replace(right, wrong)))


# --- words that are not to be used ----------------------------------------------------------------

# Names in code: of classes and functions that had one meaning too many.
RETIRED_NAMES = re.compile(
    r"Bury|Forward|Schedule|Release|Turn|Assembly|Dispatch|LeaseTable|Box|BackPressure"
)

# A word, wherever it stands → where it may stand all the same, each with its reason.
RETIRED_WORDS: dict[str, dict[str, str]] = {
    r"\b[Ff]resh\b": {},
    r"\b[Bb]ur(y|ies|ied)\b": {},
    r"\b[Bb]ackpressure\b": {},
    r"\b[Dd]ispatch(es|ed|er|ing)?\b": {},
    r"\b[Aa]ssembly\b": {},
    r"\b[Ss]tuck\b": {
        "telemetry/streamix_telemetry/catalogue.py": "the label",
        "telemetry/streamix_telemetry/metrics.py": "the label",
        "admin/doctor/stream_checks.py": "a check of the doctor: entries, not actors",
    },
    r"\b[Aa]bandon(s|ed|ing)?\b": {
        "telemetry/streamix_telemetry/logs.py": "the field of a line",
        "telemetry/streamix_telemetry/metrics.py": "the metric",
        "telemetry/streamix_telemetry/health.py": "of a socket, after a fork",
    },
    r"\b[Ss]hed(s|ding)?\b": {
        "api.py": "of a publisher",
        "publishing/": "of a publisher",
        "core/config.py": "of a publisher",
        "core/facts.py": "of a publisher",
        "core/hold_back.py": "of a publisher",
        "core/message.py": "of a publisher",
        "core/publication.py": "of a publisher",
        "telemetry/streamix_telemetry/metrics.py": "of a publisher",
    },
}
# A letter is a dead letter, and what knows none of those has no letters.
LETTERLESS = ("runtime/", "held/")


def retired(where: str, text: str) -> list[str]:
    found = [
        word
        for word, allowed in RETIRED_WORDS.items()
        if re.search(word, text) and not any(where.startswith(place) for place in allowed)
    ]
    if where.startswith(LETTERLESS) and re.search(r"(?<!dead )(?<!dead-)\bletters?\b", text):
        found.append("letter")
    if where.endswith(".py"):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        found += [token.string for token in tokens if RETIRED_NAMES.fullmatch(token.string)]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_no_retired_word_is_used(path: Path) -> None:
    assert retired(_named(path), path.read_text("utf-8")) == []


def test_a_word_may_stand_only_where_it_does() -> None:
    texts = {_named(path): path.read_text("utf-8") for path in SOURCES}

    for word, allowed in RETIRED_WORDS.items():
        for place in allowed:
            assert any(where.startswith(place) and re.search(word, text) for where, text in texts.items()), (
                place
            )


@pytest.mark.parametrize(
    ("where", "text", "word"),
    [
        ("held/lease.py", "# a fresh lease", r"\b[Ff]resh\b"),
        ("broker/scripts/x.lua", "-- buried", r"\b[Bb]ur(y|ies|ied)\b"),
        ("held/lanes.py", '"""Sheds the newer half."""', r"\b[Ss]hed(s|ding)?\b"),
        ("runtime/actor.py", "stuck = True", r"\b[Ss]tuck\b"),
        ("runtime/mailbox.py", "# letters that wait", "letter"),
        ("core/commands.py", "class Bury:\n    pass\n", "Bury"),
        ("held/lanes.py", "def take() -> Turn: ...\n", "Turn"),
    ],
)
def test_a_planted_word_is_found(where: str, text: str, word: str) -> None:
    assert retired(where, text) != []
    assert word in retired(where, text)


# --- CONTRIBUTING.md ------------------------------------------------------------------------------

SHOWN = [line[2:] for line in CONTRIBUTING.splitlines() if line.startswith("$ ")]
COMMANDS = [line.partition("  #")[0].strip() for line in SHOWN]


def parses(command: str) -> list[str]:
    """What of ``command`` there is not: a target, a mutant, a file, a kind of server, an option."""
    words = shlex.split(command)
    found: list[str] = []
    if words[0].startswith("STREAMIX_TEST_MUTANT="):
        mutant = words.pop(0).partition("=")[2]
        found += [] if mutant in MUTANTS else [mutant]
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text("utf-8")
        return found + [word for word in words[1:] if not re.search(rf"^{word}:", makefile, re.MULTILINE)]
    assert words[:2] == [".venv/bin/python", "-m"], command
    module, arguments = words[2], words[3:]
    if module == "pytest":
        found += [word for word in arguments if word.startswith("tests/") and not (ROOT / word).exists()]
        if "--server" in arguments:
            found += [kind for kind in [arguments[arguments.index("--server") + 1]] if kind not in KINDS]
        return found
    verbs = [word for word in arguments[:1] if not word.startswith("-")]
    asked = [sys.executable, "-m", module, *verbs, "--help"]
    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        return [*found, answer.stderr]
    return found + [word for word in arguments if word.startswith("--") and word not in answer.stdout]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_can_be_typed(command: str) -> None:
    assert parses(command) == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("make coffee", "coffee"),
        ("STREAMIX_TEST_MUTANT=none .venv/bin/python -m pytest tests/unit", "none"),
        (".venv/bin/python -m pytest tests/nothing", "tests/nothing"),
        (".venv/bin/python -m pytest tests/unit --server redis1", "redis1"),
        (".venv/bin/python -m load consume --rounds 1", "--rounds"),
    ],
)
def test_a_command_that_cannot_be_typed_is_found(command: str, wrong: str) -> None:
    assert parses(command) == [wrong]


def test_the_links_between_the_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"):
        text = path.read_text("utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            assert there.exists(), f"{path.name}: {target}"
            heads = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {
                re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads
            }, target
