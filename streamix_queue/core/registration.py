"""A handler and how to call it, decided once, at registration."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from streamix_queue.core.config import ConsumerConfig, EventOptions, number, text
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.options import declared
from streamix_queue.core.outcome import Policy

__all__ = [
    "Handler",
    "Registration",
    "is_async",
    "leave_a_thread_for_others",
    "make_registration",
    "takes_message",
    "typed_payload",
    "with_concurrency",
]

Handler = Callable[..., Any]


@dataclass(frozen=True)
class Registration:
    """One event of a consumer.

    Attributes:
        event: Its name.
        handler: The user's callable.
        wants_message: True if it takes ``(data, message)``, False for ``(data)``.
        is_async: True if calling it gives a coroutine.
        payload_type: Type to convert ``data`` to first, None to pass the dict.
        policy: Retries and backoff.
        concurrency: How many may run at once in this process.
        limited: True if the user said so.
        timeout_s: Longest run in seconds, None for no limit.
    """

    event: str
    handler: Handler
    wants_message: bool
    is_async: bool
    payload_type: Any
    policy: Policy
    concurrency: int
    limited: bool
    timeout_s: float | None


def make_registration(
    event: str, handler: Handler, options: EventOptions, defaults: ConsumerConfig
) -> Registration:
    """The registration of ``handler``; what is None comes from ``defaults``. Raises `ConfigError`."""
    text("event", event)
    if options.concurrency is not None:
        number("concurrency", options.concurrency, 1, defaults.concurrency, unit="(the consumer's)")
    wants_message = takes_message(handler)
    asynchronous = is_async(handler)
    declared(EventOptions)["timeout_ms"].check(options.timeout_ms)
    if options.timeout_ms is not None and not asynchronous:
        raise ConfigError(
            f"timeout_ms={options.timeout_ms}: a thread cannot be stopped from outside, so only an "
            "'async def' handler can have one"
        )
    own = options.over(defaults)
    return Registration(
        event=event,
        handler=handler,
        wants_message=wants_message,
        is_async=asynchronous,
        payload_type=typed_payload(handler),
        policy=own.policy,
        concurrency=own.concurrency,
        limited=options.concurrency is not None,
        timeout_s=None if options.timeout_ms is None else options.timeout_ms / 1000,
    )


def with_concurrency(registrations: Mapping[str, Registration], concurrency: int) -> dict[str, Registration]:
    """The registrations of a consumer that has another ``concurrency`` now."""
    return {
        event: replace(r, concurrency=min(r.concurrency, concurrency) if r.limited else concurrency)
        for event, r in registrations.items()
    }


def leave_a_thread_for_others(
    registrations: Mapping[str, Registration], threads: int
) -> dict[str, Registration]:
    """No event may occupy every thread, if there are others, unless the user said so."""
    most = threads - 1 if len(registrations) > 1 and threads > 1 else threads
    return {
        event: r if r.limited else replace(r, concurrency=min(r.concurrency, most))
        for event, r in registrations.items()
    }


def takes_message(handler: Handler) -> bool:
    """True if ``handler`` is to be called with ``(data, message)``.

    0.1.0 counted parameters; this looks at which call the signature accepts: a second
    parameter with a default of its own does not ask for the message, unless the default is None
    or it is called ``message``. ``*args`` takes both.

    Raises:
        ConfigError: neither ``(data)`` nor ``(data, message)`` can be a call of it.
    """
    if not callable(handler):
        raise ConfigError(f"handler={handler!r}: expected a callable")
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):  # some builtins have none; 0.1.0's simple form is the guess
        return False
    positional = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) >= 2:
        second = positional[1]
        # None stands for "no message": 0.1.0 passed it to these, and they are written for it.
        wants = second.default is second.empty or second.default is None or second.name == "message"
    else:
        wants = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    try:
        signature.bind(*((None, None) if wants else (None,)))
    except TypeError as error:
        raise ConfigError(
            f"handler {_name(handler)}{signature}: expected (data) or (data, message): {error}"
        ) from None
    return wants


def is_async(handler: Handler) -> bool:
    """True if calling ``handler`` gives a coroutine (partials and callable objects included).

    Raises:
        ConfigError: an async generator, which nobody would ever iterate.
    """
    call = _routine(handler)
    if inspect.isasyncgenfunction(call) or inspect.isgeneratorfunction(call):
        raise ConfigError(f"handler {_name(handler)}: a generator is never run to its end; return instead")
    return inspect.iscoroutinefunction(call)


def typed_payload(handler: Handler) -> Any:
    """The type that the first parameter is annotated with, if it is one to convert to.

    A ``msgspec.Struct``, a dataclass or a ``TypedDict`` is; anything else gets the dict.
    """
    try:
        hints = typing.get_type_hints(_routine(handler))
        first = next(iter(inspect.signature(handler).parameters.values()))
    except (AttributeError, NameError, StopIteration, TypeError, ValueError):
        return None
    hint = hints.get(first.name)
    if not isinstance(hint, type):
        return None
    if issubclass(hint, msgspec.Struct) or dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
        return hint
    return None


def _routine(handler: Handler) -> Handler:
    """What runs in the end: the function inside a partial, the method of a callable object."""
    while isinstance(handler, partial):
        handler = handler.func
    return handler if inspect.isroutine(handler) else getattr(handler, "__call__", handler)  # noqa: B004


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", None) or type(handler).__name__
