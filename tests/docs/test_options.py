"""What is declared of an option is what every place says that takes it, reads it or explains it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Consumer, Publisher, consume, publish
from streamix_queue.core.config import ConsumerConfig, EventOptions, PublisherConfig, StreamConfig
from streamix_queue.core.options import Option, declared
from streamix_queue.settings import FIELDS, Settings
from tests.docs.blocks import ROOT
from tests.docs.options import FILES, README, TABLES, written

DOORS = [
    (Consumer.__init__, ConsumerConfig),
    (consume, ConsumerConfig),
    (Consumer.on, EventOptions),
    (Publisher.__init__, PublisherConfig),
]
NO_OPTIONS = {"self", "event", "handler"}
USERS = {"consumer": ConsumerConfig, "publisher": PublisherConfig}
OBJECTS = {"metrics_registry", "observers", "interceptors"}
FROM_OUTSIDE = [
    (user, option)
    for user, config in USERS.items()
    for option in declared(config).values()
    if option.name not in OBJECTS
]
SAID: dict[str, tuple[str, Any]] = {
    "text": ("some", "some"),
    "whole": ("7", 7),
    "time": ("7s", 7000),
    "share": ("0.5", 0.5),
    "start": ("latest", "latest"),
}
"""How a value is said outside, and what the constructors are given, by kind."""


def options_of(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(call).parameters
    return {name: each for name, each in parameters.items() if name not in NO_OPTIONS}


# --- signatures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("door", "config"), DOORS, ids=lambda each: getattr(each, "__qualname__", ""))
def test_a_signature_has_every_option_with_its_default_and_its_type(
    door: Callable[..., Any], config: Any
) -> None:
    taken = options_of(door)
    types = {each.name: each.type for each in fields(config)}

    assert taken.keys() == declared(config).keys()
    for name, option in declared(config).items():
        assert taken[name].default is option.default
        if option.kind != "object":  # of a type that core may not know of
            assert taken[name].annotation == types[name]


def test_what_publish_takes_is_as_the_publishers() -> None:
    ours = {name: each for name, each in options_of(publish).items() if name in declared(PublisherConfig)}

    assert set(declared(StreamConfig)) < set(ours)
    for name, parameter in ours.items():
        assert parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) == options_of(Publisher.__init__)[
            name
        ].replace(kind=inspect.Parameter.KEYWORD_ONLY)


def test_the_overloads_of_on_take_what_it_takes() -> None:
    """Only type checkers see them, and none complains of an overload that lacks an option."""
    source = (ROOT / "streamix_queue" / "consumer.py").read_text("utf-8")
    signatures = [
        [f"{arg.arg}: {ast.unparse(arg.annotation)}" for arg in node.args.kwonlyargs if arg.annotation]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "on"
    ]

    assert len(signatures) == 3
    assert signatures == [[f"{name}: {p.annotation}" for name, p in options_of(Consumer.on).items()]] * 3


# --- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_docstrings_and_the_readme_say_what_is_declared(path: Path) -> None:
    assert path.read_text("utf-8") == written(path), "make options"


@pytest.mark.parametrize(
    ("explained", "config"),
    [(Consumer, ConsumerConfig), (Consumer.on, EventOptions), (Publisher, PublisherConfig)],
    ids=["Consumer", "on", "Publisher"],
)
def test_help_explains_every_option(explained: Any, config: type) -> None:
    text = inspect.getdoc(explained) or ""
    told = " ".join(text.split())

    for option in declared(config).values():
        assert option.meaning.endswith(".")
        assert f"\n    {option.name}: " in text
        assert f"{option.name}: {option.meaning}" in told


def test_the_readme_has_a_row_for_every_option() -> None:
    assert set().union(*TABLES.values()) == {name for _, config in DOORS for name in declared(config)}
    for options in TABLES.values():
        for name in options:
            assert f"\n| `{name}` | " in README.read_text("utf-8")


# --- from outside ---------------------------------------------------------------------------------


def test_whatever_no_object_is_needed_for_can_come_from_outside() -> None:
    assert {(user, name) for name, field in FIELDS.items() for user in field.used_by} == {
        (user, option.name) for user, option in FROM_OUTSIDE
    }


@pytest.mark.parametrize(
    ("user", "option"), FROM_OUTSIDE, ids=[f"{user}-{option.name}" for user, option in FROM_OUTSIDE]
)
def test_each_of_its_variables_and_names_in_a_file_brings_it(
    tmp_path: Path, user: str, option: Option
) -> None:
    said, value = SAID[option.kind]
    expected = {option.name: value}

    assert option.variables[0].startswith("STREAMIX_")
    assert f"STREAMIX_{option.name.upper()}" in option.variables
    for variable in option.variables:
        by_variable = Settings.load(environ={variable: said}, cwd=tmp_path)
        assert getattr(by_variable, f"{user}_options")() == expected
    for name in option.names:
        (tmp_path / "streamix.toml").write_text(f"{name} = {value!r}")
        by_file = Settings.load(environ={}, cwd=tmp_path)
        assert getattr(by_file, f"{user}_options")() == expected
        by_argument = Settings.load(
            {name: value}, environ={}, cwd=tmp_path, config=tmp_path / "streamix.toml"
        )
        assert by_argument.effective()[option.name] == (value, "argument")
