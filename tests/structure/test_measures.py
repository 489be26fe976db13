"""The measures see what is planted, and what they measure here does not get worse."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests.structure import source
from tests.structure.measure import of_source, run_probe, table
from tests.structure.probe import Calls
from tests.structure.source import Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

REPO = Path(__file__).resolve().parents[2]

# Measure → the most that it may be. Lowered when it falls, and raised with a reason only.
BARS = {
    "writes to lease state outside its module": 0,
    "writes to a message's record outside its module": 8,
    "fields of an object, largest 1": 21,
    "fields of a mutable object, largest 1": 20,
    "parameters of a constructor, largest 1": 9,
    "tests for an error's text in broker, errors.py apart": 0,
    "methods groups() in broker": 0,
    "methods groups() in admin": 3,
    "fork handling: register_at_fork": 3,
    "fork handling: pid comparisons": 4,
}


def planted(tmp_path: Path, files: Mapping[str, str]) -> Library:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return Library(tmp_path)


def test_no_measure_is_worse_than_its_bar() -> None:
    measured = of_source(Library(REPO))
    values = {name: int(str(measured["rows"][name]).split()[0]) for name in BARS}
    worse = {
        name: measured["details"].get(name, value) for name, value in values.items() if value > BARS[name]
    }
    assert not worse


@pytest.mark.parametrize("events", [1, 20])
def test_the_fetcher_asks_the_lanes_once_per_read(events: int) -> None:
    asked = run_probe(REPO, "questions", events)
    assert asked["reads"] >= 1
    assert asked["questions"] == 1, asked


def test_a_fact_is_told_to_four_observers() -> None:
    assert run_probe(REPO, "hops")["observers_per_fact"] <= 4


# --- writes -------------------------------------------------------------------------------------------

RECORDS = {
    "streamix_queue/core/delivery.py": """
        class Delivery(Struct):
            key: bytes
            deliveries: int
            lost: bool = False
            outcome: Outcome | None = None
            LIMIT: ClassVar[int] = 3

            def end(self, outcome):
                self.outcome = outcome
        """,
    "streamix_queue/broker/store.py": """
        @dataclass
        class _Pending:
            deliveries: int
            lost: bool

        def claim(pending):
            pending.deliveries += 1
        """,
    "streamix_queue/actors/worker.py": """
        class Worker:
            def __init__(self):
                self.lost = 0

            def step(self, delivery, batch, first):
                delivery.lost, delivery.outcome = True, None
                batch.deliveries[0].lost = True
                first.deliveries += 1
                setattr(delivery, "orphan", True)
                delivery.other = delivery.lost
        """,
}


def test_writes_to_a_lease_are_found_by_statement(tmp_path: Path) -> None:
    found = source.lease_writes(planted(tmp_path, RECORDS))
    assert [place.text for place in found] == [
        "delivery.lost",
        "batch.deliveries[0].lost",
        "first.deliveries",
        "delivery.orphan",
    ]
    assert {place.path for place in found} == {"streamix_queue/actors/worker.py"}


def test_writes_within_the_module_of_leases_are_its_own(tmp_path: Path) -> None:
    lease = """
        class Lease:
            def __init__(self):
                self.valid_until = 0.0

        def merge(first, second):
            first.valid_until = second.valid_until
        """
    files = {
        "streamix_queue/held/lease.py": lease,
        "streamix_queue/actors/renewer.py": "def renew(delivery):\n    delivery.lease.valid_until = 1.0\n",
    }
    library = planted(tmp_path, files)
    assert [str(place) for place in source.lease_writes(library)] == [
        "streamix_queue/actors/renewer.py:2 delivery.lease.valid_until"
    ]
    # Who says that another module owns them is believed, and the names of before are looked for.
    assert source.lease_writes(library, "actors/renewer.py") == []


def test_writes_to_a_record_are_found_outside_its_module(tmp_path: Path) -> None:
    found = source.record_writes(planted(tmp_path, RECORDS))
    assert [place.text for place in found] == [
        "delivery.lost, delivery.outcome",
        "batch.deliveries[0].lost",
        "first.deliveries",
    ]


def test_a_class_of_the_same_name_in_another_module_is_no_record(tmp_path: Path) -> None:
    files = {
        "streamix_queue/core/wire.py": "class Attempt(Struct):\n    at: str\n",
        "streamix_queue/core/attempt.py": "class Attempt(Struct):\n    outcome: int\n",
        "streamix_queue/core/entry.py": "class Entry(Struct, frozen=True):\n    id: bytes\n",
    }
    records = planted(tmp_path, files).records()
    assert [record.path for record in records] == ["streamix_queue/core/attempt.py"]


# --- sizes --------------------------------------------------------------------------------------------

CLASSES = """
    @dataclass(frozen=True)
    class Wide:
        a: int
        b: int
        c: int
        d: int

    class Slotted:
        __slots__ = ("a", "b")

    class Actor:
        def __init__(self, name, /, broker, *others, wait=1, **named):
            self.a, self.b = name, broker
            self.c: int = wait

        def step(self):
            self.elsewhere = 1

    class Consumer:
        def __init__(self, a, b, c, d, e, f): ...

    class Door(Protocol):
        a: int
        b: int
        c: int
        d: int
        e: int
    """


def test_fields_and_parameters_are_counted(tmp_path: Path) -> None:
    library = planted(tmp_path, {"streamix_queue/classes.py": CLASSES})
    sizes = [(each.name, each.frozen, count) for each, count in source.largest_classes(library, most=3)]
    assert sizes == [("Wide", True, 4), ("Actor", False, 3), ("Slotted", False, 2)]
    assert [each.name for each, _ in source.largest_classes(library, frozen=True)] == ["Wide"]
    assert [(each.name, count) for each, count in source.constructors(library)] == [("Actor", 5)]


def test_lengths_are_told_by_folder_and_in_all(tmp_path: Path) -> None:
    files = {f"streamix_queue/core/m{lines}.py": "pass\n" * lines for lines in (1, 3, 20)}
    assert source.lengths(planted(tmp_path, files).files) == {
        "files": 3,
        "lines": 24,
        "median": 3,
        "p90": 17,
        "largest": "20 streamix_queue/core/m20.py",
    }


def test_long_files_are_those_over_the_limit_longest_first() -> None:
    found = source.long_files(REPO, 250)
    assert found == sorted(found, key=lambda each: (-each[1], each[0]))
    assert "streamix_queue/consumer.py" in dict(found)
    assert min(lines for _, lines in found) > 250


# --- counts -------------------------------------------------------------------------------------------

COUNTED = """
    import os

    class Reader:
        def groups(self): ...
        def others(self):
            def inner():
                import json
            from pathlib import Path

    def refused(error):
        text = " ".join(str(each) for each in error)
        known = "BUSYGROUP" in str(error)
        return known or "LOADING" in text or error in ("str",)

    def forked(owner, pid):
        os.register_at_fork(after_in_child=forked)
        return owner == os.getpid() or pid in (1, os.getpid())
    """


def test_counts_find_what_is_planted(tmp_path: Path) -> None:
    library = planted(tmp_path, {"streamix_queue/broker/reader.py": COUNTED})
    assert [place.text for place in source.text_tests(library)] == [
        "'BUSYGROUP' in str(error)",
        "'LOADING' in text",
    ]
    assert source.methods_named(library, "groups", "streamix_queue/broker") == [
        "streamix_queue/broker/reader.py Reader.groups"
    ]
    assert source.function_imports(library) == {"streamix_queue/broker": 2}
    forks = source.fork_handling(library)
    assert {how: len(found) for how, found in forks.items()} == {"register_at_fork": 1, "pid comparisons": 1}


# --- what runs ----------------------------------------------------------------------------------------

RUNNING = {
    "streamix_queue/boxes.py": """
        class Boxes:
            def room(self): ...
            def take(self): ...

        class Credits:
            def free(self): ...
        """,
    "streamix_queue/router.py": """
        def ask_on(boxes):
            boxes.room()
        """,
    "streamix_queue/fetcher.py": """
        class Fetcher:
            def __init__(self, boxes, credits_):
                self.boxes, self.credits = boxes, credits_

            def step(self):
                self.credits.free()
                sum(self.boxes.room() or 0 for _ in range(3))
                self.own()
                ask_on(self.boxes)

            def own(self): ...
        """,
    "streamix_queue/worker.py": """
        class Worker:
            def __init__(self, boxes):
                self.boxes = boxes

            def step(self):
                self.boxes.take()
        """,
    "streamix_queue/observers.py": """
        class Observer:
            def notice(self, fact): ...

        def tell(observers, fact):
            for observer in observers:
                observer.notice(fact)
        """,
}


def load(path: Path, **names: object) -> Any:
    spec = importlib.util.spec_from_file_location(f"planted_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Calls]:
    seen = Calls([tmp_path])
    yield seen
    seen.uninstall()


def test_calls_hops_and_questions_of_planted_actors_are_counted(tmp_path: Path, calls: Calls) -> None:
    planted(tmp_path, RUNNING)
    folder = tmp_path / "streamix_queue"
    held, ask_on = load(folder / "boxes.py"), load(folder / "router.py").ask_on
    boxes = held.Boxes()
    fetcher = load(folder / "fetcher.py", ask_on=ask_on).Fetcher(boxes, held.Credits())
    worker = load(folder / "worker.py").Worker(boxes)
    observers = load(folder / "observers.py")
    calls.recording = True
    calls.install()
    for name, target in (("streamix.fetcher", fetcher.step), ("streamix.worker-1", worker.step)):
        thread = threading.Thread(target=target, name=name)
        thread.start()
        thread.join()
    observers.tell([observers.Observer(), observers.Observer()], object())
    calls.uninstall()
    # step, free, the generator four times, room three times, own, ask_on, room.
    assert calls.summary()["fetcher"] == {"calls": 12, "modules": 3, "hops": 7}
    assert calls.summary()["worker"] == {"calls": 2, "modules": 2, "hops": 2}
    assert calls.questions() == {
        "reads": 1,
        "questions": 3.0,
        "asked": {"Boxes.room": 3.0},
        "by_whole_thread": {"Boxes.room": 4.0},
        "of_others": {"Credits.free": 1.0},
    }
    assert max(map(len, calls.told.values())) == 2


def test_the_table_has_what_only_one_side_has() -> None:
    assert table({"a": 1, "new": 2}, {"a": 3, "old": 4}).splitlines()[2:] == [
        "| a | 3 | 1 |",
        "| new | – | 2 |",
        "| old | 4 | – |",
    ]
