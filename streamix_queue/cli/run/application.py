"""The `Consumer` of an application: how ``app.workers:consumer`` is found, and how it is."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from functools import reduce
from types import ModuleType

import click

from streamix_queue.cli.run.service_manager import State
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.composition import probe_this_process
from streamix_queue.consumer import Consumer
from streamix_queue.core.redact import redact_text

__all__ = ["load_consumer", "load_consumers", "state_of"]


def load_consumers(targets: Sequence[str]) -> list[Consumer]:
    """Import each, as `load_consumer` does. Raises as that, and `UsageError` for one that is named twice."""
    consumers: list[Consumer] = []
    for target in targets:
        consumer = load_consumer(target)
        if consumer in consumers:
            raise click.UsageError(f"{target!r}: that consumer is named twice")
        consumers.append(consumer)
    return consumers


def load_consumer(target: str) -> Consumer:
    """Import it from the current directory or the Python path.

    Args:
        target: ``module:attribute``; the attribute is a `Consumer`, or a function without
            arguments that returns one.

    Raises:
        UsageError: not of that form.
        Failure: it cannot be imported, or is something else.
    """
    name, separator, attribute = target.partition(":")
    if "/" in name or name.endswith(".py"):
        dotted = name.removesuffix(".py").strip("/").replace("/", ".")
        raise click.UsageError(f"{name!r} is a file; name the module: {dotted}:{attribute or 'consumer'}")
    if not all(part.isidentifier() for part in name.split(".")):
        raise click.UsageError(f"{target!r}: expected MODULE:CONSUMER, such as app.workers:consumer")
    module = _import(name)
    if not separator or not attribute:
        raise click.UsageError(f"{target!r} names no consumer; {_offer(name, module)}")
    try:
        found: object = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        near = difflib.get_close_matches(attribute, vars(module), n=1)
        hint = f"Did you mean {name}:{near[0]}?" if near else _offer(name, module)
        raise Failure(Exit.IMPORT, f"module {name!r} has no {attribute!r}", hint) from None
    if not isinstance(found, Consumer) and callable(found):
        try:
            found = found()
        except Exception as error:
            raise Failure(Exit.IMPORT, f"{target}() failed\n{_trace(error)}") from error
    if not isinstance(found, Consumer):
        kind = type(found).__name__
        raise Failure(Exit.IMPORT, f"{target} is of type {kind!r}, not a Consumer", _offer(name, module))
    return found


def state_of(consumers: Sequence[Consumer]) -> State:
    """How they are together, for the service manager."""
    problems, stopping = probe_this_process()
    return State(
        started=all(consumer.running for consumer in consumers), healthy=not problems, stopping=stopping
    )


def _import(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{name}.".startswith(f"{missing}."):
            raise Failure(
                Exit.IMPORT,
                f"there is no module {missing!r} in {here} or on the Python path",
                "Run the command where the application is, or set PYTHONPATH.",
            ) from None
        raise Failure(Exit.IMPORT, f"cannot import {name!r}\n{_trace(error)}") from error
    except (Exception, SystemExit) as error:
        raise Failure(Exit.IMPORT, f"cannot import {name!r}\n{_trace(error)}") from error


def _offer(name: str, module: ModuleType) -> str:
    consumers = [attribute for attribute, value in vars(module).items() if isinstance(value, Consumer)]
    if not consumers:
        return f"there is no Consumer in {name!r}: make one, as in  consumer = Consumer(group='billing')"
    return "there is " + ", ".join(f"{name}:{attribute}" for attribute in consumers)


def _trace(error: BaseException) -> str:
    """The traceback from the application's first line on, without the frames of this module and importlib."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (__file__, importlib.__file__)
    while frames and (frames[0].filename in ours or frames[0].filename.startswith("<frozen importlib")):
        frames.pop(0)
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    return redact_text("".join(lines)).rstrip()
