"""Measures of the source text: syntax trees are read, nothing is run or imported."""

from __future__ import annotations

import ast
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

__all__ = [
    "Class",
    "File",
    "Library",
    "Place",
    "constructors",
    "fork_handling",
    "function_imports",
    "largest_classes",
    "lease_writes",
    "lengths",
    "long_files",
    "methods_named",
    "record_writes",
    "text_tests",
]

ROOTS = ("streamix_queue", "telemetry/streamix_telemetry")
TOPS = ("streamix_queue", "telemetry", "tests", "load", "grafana")
PUBLIC_DOORS = frozenset({"Consumer", "Publisher"})
LEASE_STATE = frozenset({"deliveries", "leased_at", "lost", "orphan"})
_SETTERS = frozenset({"setattr", "delattr", "force_setattr", "__setattr__", "__delattr__"})
LONG = 500
# What is known of one message while it is here; each counts if it lies in a module of its own name.
RECORDS = ("Delivery", "Entry", "Attempt", "Lease")


@dataclass(frozen=True)
class File:
    """One module. ``path`` is relative to the checkout."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def folder(self) -> str:
        return str(Path(self.path).parent)

    @cached_property
    def classes(self) -> list[Class]:
        return [
            Class(self.path, node.name, node)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ClassDef)
        ]


@dataclass(frozen=True)
class Class:
    """One class statement."""

    path: str
    name: str
    node: ast.ClassDef = field(repr=False)

    @property
    def constructor(self) -> ast.FunctionDef | None:
        functions = (node for node in self.node.body if isinstance(node, ast.FunctionDef))
        return next((function for function in functions if function.name == "__init__"), None)

    @cached_property
    def fields(self) -> frozenset[str]:
        """Annotated in the body, in ``__slots__``, or set on ``self`` by the constructor."""
        if "Protocol" in {_last_name(base) for base in self.node.bases}:
            return frozenset()
        found: set[str] = set()
        for node in self.node.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                if "ClassVar" not in ast.unparse(node.annotation):
                    found.add(node.target.id)
            elif isinstance(node, ast.Assign) and "__slots__" in map(_last_name, node.targets):
                found |= {str(text.value) for text in ast.walk(node.value) if isinstance(text, ast.Constant)}
        if self.constructor is not None:
            found |= {
                store.attribute for store in _stores(self.constructor) if _last_name(store.owner) == "self"
            }
        return frozenset(found)

    @property
    def frozen(self) -> bool:
        """A dataclass, Struct or tuple that refuses writes."""
        if "NamedTuple" in map(_last_name, self.node.bases):
            return True
        settings = [*self.node.keywords]
        for decorator in self.node.decorator_list:
            settings += decorator.keywords if isinstance(decorator, ast.Call) else []
        return any(
            setting.arg == "frozen"
            and isinstance(setting.value, ast.Constant)
            and setting.value.value is True
            for setting in settings
        )


@dataclass(frozen=True)
class Place:
    """A place in the text, and what stands there."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.text}"


class Library:
    """The modules of a checkout's library and telemetry."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        paths = [path for root in ROOTS for path in sorted((repo / root).rglob("*.py"))]
        self.files = [File(str(path.relative_to(repo)), path.read_text()) for path in paths]

    @cached_property
    def classes(self) -> list[Class]:
        return [each for file in self.files for each in file.classes]

    def records(self, names: Iterable[str] = RECORDS) -> list[Class]:
        """The classes of these names that lie in a module of the same name: ``Lease`` in ``lease.py``."""
        wanted = set(names)
        return [
            each
            for each in self.classes
            if each.name in wanted and Path(each.path).stem == each.name.lower() and not each.frozen
        ]


# --- who writes what ------------------------------------------------------------------------------


def lease_writes(library: Library, lease_module: str | None = None) -> list[Place]:
    """Writes to the state of a lease outside the module that owns it.

    Args:
        library: What is looked through.
        lease_module: The end of the owner's path; by default ``lease.py``, if there is one. Then
            every field of its ``Lease`` counts, under whatever name, beside the four of today.
    """
    owner = lease_module or "lease.py"
    owners = [file for file in library.files if file.path.endswith(f"/{owner.lstrip('/')}")]
    state = set(LEASE_STATE)
    for file in owners:
        state |= {name for each in file.classes if each.name == "Lease" for name in each.fields}
    return _writes_outside(library, state, {file.path for file in owners}, {"Delivery", "Lease"})


def record_writes(library: Library, names: Iterable[str] = RECORDS) -> list[Place]:
    """Writes to the shared records of one message outside the modules of these records."""
    records = library.records(names)
    fields = {name for record in records for name in record.fields}
    return _writes_outside(
        library, fields, {record.path for record in records}, {record.name for record in records}
    )


def _writes_outside(
    library: Library, attributes: Collection[str], owners: Collection[str], records: Collection[str]
) -> list[Place]:
    """Statements that write ``attributes``, of an object that is not known to be something else.

    Types are not inferred. A write counts unless it is one to ``self``, or the object is called as
    another class with such a field is: ``pending.deliveries`` is of the memory broker's `Pending`.
    """
    others: dict[str, set[str]] = defaultdict(set)
    for each in library.classes:
        if each.name not in records:
            for attribute in each.fields & set(attributes):
                others[attribute].add(_plain(each.name))
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for file in library.files:
        if file.path in owners:
            continue
        for store in _stores(file.tree):
            owner = _plain(_last_name(store.owner))
            if store.attribute in attributes and owner not in ("self", *others[store.attribute]):
                found[file.path, store.line].append(f"{ast.unparse(store.owner)}.{store.attribute}")
    return [Place(path, line, ", ".join(targets)) for (path, line), targets in found.items()]


class _Store(NamedTuple):
    """``owner.attribute`` is assigned to or deleted."""

    line: int
    column: int
    owner: ast.expr
    attribute: str


def _stores(tree: ast.AST) -> list[_Store]:
    """In the order of the text; those by way of ``setattr`` and its likes as well."""
    found: list[_Store] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.append(_Store(node.lineno, node.col_offset, node.value, node.attr))
        elif isinstance(node, ast.Call) and _last_name(node.func) in _SETTERS and len(node.args) > 1:
            owner, name = node.args[:2]
            if isinstance(name, ast.Constant):
                found.append(_Store(node.lineno, node.col_offset, owner, str(name.value)))
    return sorted(found, key=lambda store: store[:2])


def _plain(name: str) -> str:
    """``_Pending``, ``Pending`` and ``pending`` are called alike."""
    return name.lower().lstrip("_")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


# --- sizes ----------------------------------------------------------------------------------------


def largest_classes(
    library: Library, *, frozen: bool | None = None, most: int = 5
) -> list[tuple[Class, int]]:
    """The classes with the most fields; only frozen or only mutable ones if ``frozen`` says so."""
    chosen = [each for each in library.classes if frozen is None or each.frozen is frozen]
    return sorted(((each, len(each.fields)) for each in chosen), key=_by_size)[:most]


def constructors(library: Library, *, most: int = 5) -> list[tuple[Class, int]]:
    """The ``__init__`` with the most parameters, public doors apart; ``self`` is none."""
    found: list[tuple[Class, int]] = []
    for each in library.classes:
        if each.constructor is not None and each.name not in PUBLIC_DOORS:
            given = each.constructor.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1
            found.append((each, count + (given.vararg is not None) + (given.kwarg is not None)))
    return sorted(found, key=_by_size)[:most]


def _by_size(each: tuple[Class, int]) -> tuple[int, str, str]:
    return -each[1], each[0].path, each[0].name


def lengths(files: Sequence[File]) -> dict[str, int | str]:
    """Number of files, and their lines: all, median, 90 % and longest."""
    lines = [file.lines for file in files]
    longest = max(files, key=lambda file: file.lines)
    return {
        "files": len(files),
        "lines": sum(lines),
        "median": round(statistics.median(lines)),
        "p90": round(statistics.quantiles(lines, n=10, method="inclusive")[-1])
        if len(lines) > 1
        else lines[0],
        "largest": f"{longest.lines} {longest.path}",
    }


def long_files(repo: Path, limit: int = LONG) -> list[tuple[str, int]]:
    """Files of Python with more than ``limit`` lines, longest first; those of tests and tools as well."""
    paths = [path for top in TOPS for path in (repo / top).rglob("*.py")]
    sizes = [(str(path.relative_to(repo)), len(path.read_text().splitlines())) for path in paths]
    return sorted((each for each in sizes if each[1] > limit), key=lambda each: (-each[1], each[0]))


# --- counts ---------------------------------------------------------------------------------------


def text_tests(library: Library, folder: str = "streamix_queue/broker") -> list[Place]:
    """Tests for a piece of an error's text: ``"…" in str(error)``, also by way of a local name."""
    found: list[Place] = []
    for file in _below(library, folder):
        for function in _functions(file.tree):
            texts = {
                name
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and _calls(node.value, "str")
                for name in map(_last_name, node.targets)
            }
            for node in _own_nodes(function):
                if not isinstance(node, ast.Compare) or not isinstance(node.ops[-1], (ast.In, ast.NotIn)):
                    continue
                where = node.comparators[-1]
                if (isinstance(where, ast.Call) and _last_name(where.func) == "str") or (
                    isinstance(where, ast.Name) and where.id in texts
                ):
                    found.append(Place(file.path, node.lineno, ast.unparse(node)))
    return found


def methods_named(library: Library, name: str, folder: str) -> list[str]:
    """The classes below ``folder`` with a method of this name."""
    return [
        f"{each.path} {each.name}.{name}"
        for file in _below(library, folder)
        for each in file.classes
        if any(isinstance(node, ast.FunctionDef) and node.name == name for node in each.node.body)
    ]


def function_imports(library: Library) -> dict[str, int]:
    """Folder → imports inside functions."""
    counts: dict[str, int] = defaultdict(int)
    for file in library.files:
        for function in _functions(file.tree):
            counts[file.folder] += sum(
                isinstance(node, (ast.Import, ast.ImportFrom)) for node in _own_nodes(function)
            )
    return {folder: count for folder, count in sorted(counts.items()) if count}


def fork_handling(library: Library) -> dict[str, list[Place]]:
    """Where a fork is noticed by hand: hooks of ``os``, and comparisons with ``os.getpid()``."""
    found: dict[str, list[Place]] = {"register_at_fork": [], "pid comparisons": []}
    for file in library.files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Call) and _last_name(node.func) == "register_at_fork":
                found["register_at_fork"].append(Place(file.path, node.lineno, ast.unparse(node)))
            elif (
                isinstance(node, ast.Compare)
                and isinstance(node.ops[0], (ast.Eq, ast.NotEq))
                and _calls(node, "getpid")
            ):
                found["pid comparisons"].append(Place(file.path, node.lineno, ast.unparse(node)))
    return found


def _below(library: Library, folder: str) -> list[File]:
    return [file for file in library.files if file.path.startswith(f"{folder}/")]


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function and in none that is defined in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child
            yield from _own_nodes(child)


def _calls(tree: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Call) and _last_name(node.func) == name for node in ast.walk(tree))
