"""Which call a handler wants is told from its signature, once, at registration."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from streamix_queue.core.errors import ConfigError
from streamix_queue.core.registration import takes_message

DATA, MESSAGE = {"user_id": "123"}, object()


def one(data: Any) -> Any:
    return (data,)


def two(data: Any, message: Any) -> Any:
    return data, message


class Service:
    def one(self, data: Any) -> Any:
        return (data,)

    def two(self, data: Any, message: Any) -> Any:
        return data, message

    @classmethod
    def of_class(cls, data: Any, message: Any) -> Any:
        return data, message

    @staticmethod
    def static(data: Any) -> Any:
        return (data,)


class CallableOne:
    def __call__(self, data: Any) -> Any:
        return (data,)


class CallableTwo:
    func = staticmethod(one)  # looks like a partial, and is none

    def __call__(self, data: Any, message: Any) -> Any:
        return data, message


class Made(tuple[Any, ...]):
    """A class is a handler, too: its instances are thrown away."""

    __slots__ = ()

    def __new__(cls, data: Any) -> Made:
        return super().__new__(cls, (data,))


def three(context: Any, data: Any, message: Any) -> Any:
    return data, message


def with_default(data: Any, limit: int = 5) -> Any:
    assert limit == 5
    return (data,)


def with_message_default(data: Any, message: Any = None) -> Any:
    return data, message


def with_none_as_default(data: Any, msg: Any = None) -> Any:
    return data, msg


def many_defaults(data: Any, message: Any, limit: int = 5, *, name: str = "n") -> Any:
    assert (limit, name) == (5, "n")
    return data, message


def data_with_default(data: Any = None) -> Any:
    return (data,)


def keyword_only(data: Any, *, message: Any = None) -> Any:
    assert message is None
    return (data,)


def with_keywords(data: Any, **more: Any) -> Any:
    assert more == {}
    return (data,)


def with_rest(data: Any, *rest: Any) -> Any:
    return (data, *rest)


def everything(*args: Any, **more: Any) -> Any:
    assert more == {}
    return args


def positional_only(data: Any, message: Any, /) -> Any:
    return data, message


def decorated(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def wrapper(*args: Any, **more: Any) -> Any:
        return handler(*args, **more)

    return wrapper


WITH_DATA: list[Any] = [
    one,
    Service().one,
    Service.static,
    CallableOne(),
    Made,
    lambda data: (data,),
    lambda data, bound=7: (data,),
    with_default,
    data_with_default,
    keyword_only,
    with_keywords,
    functools.partial(three, None, message=MESSAGE),
    functools.partial(with_default, limit=5),
    functools.partial(two, message=MESSAGE),
    functools.partial(functools.partial(with_default), limit=5),
    decorated(one),
]
WITH_DATA_AND_MESSAGE: list[Any] = [
    two,
    Service().two,
    Service.of_class,
    CallableTwo(),
    lambda data, message: (data, message),
    lambda *args: args,
    with_message_default,
    with_none_as_default,
    many_defaults,
    with_rest,
    everything,
    positional_only,
    functools.partial(three, None),
    functools.partial(many_defaults, limit=5),
    functools.partial(everything),
    functools.partial(functools.partial(three, None)),
    decorated(two),
    Mock(side_effect=lambda *args: args),
]


def name_of(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__name__))


def called(handler: Callable[..., Any]) -> Any:
    return handler(DATA, MESSAGE) if takes_message(handler) else handler(DATA)


@pytest.mark.parametrize("handler", WITH_DATA, ids=name_of)
def test_a_handler_of_one_argument_gets_the_data(handler: Callable[..., Any]) -> None:
    assert takes_message(handler) is False
    assert called(handler)[0] is DATA


@pytest.mark.parametrize("handler", WITH_DATA_AND_MESSAGE, ids=name_of)
def test_a_handler_of_two_arguments_gets_data_and_message(handler: Callable[..., Any]) -> None:
    assert takes_message(handler) is True
    assert called(handler) == (DATA, MESSAGE)


@pytest.mark.parametrize("builtin", [[].append, len, bool], ids=name_of)
def test_a_builtin_of_one_argument_gets_the_data(builtin: Any) -> None:
    assert takes_message(builtin) is False


@pytest.mark.parametrize("builtin", [print, max, dict, zip, type], ids=name_of)
def test_a_builtin_that_tells_no_signature_is_a_handler_all_the_same(builtin: Any) -> None:
    """Which ones do depends on the Python; the simple form is the guess where there is none."""
    assert takes_message(builtin) in (True, False)


class TakesNothing:
    def nothing(self) -> None: ...

    def __call__(self) -> None: ...


WRONG: list[tuple[Any, str]] = [
    (lambda: None, r"<lambda>\(\)"),
    (lambda a, b, c: None, r"<lambda>\(a, b, c\)"),
    (lambda *, data: None, r"<lambda>\(\*, data\)"),
    (lambda data, *, message: None, r"<lambda>\(data, \*, message\)"),
    (lambda **more: None, r"<lambda>\(\*\*more\)"),
    (TakesNothing().nothing, r"TakesNothing\.nothing\(\) -> .*"),
    (TakesNothing(), r"TakesNothing\(\) -> .*"),
    (functools.partial(one, DATA), r"partial\(\) -> .*"),
    (functools.partial(three), r"partial\(context: .*, data: .*, message: .*\) -> .*"),
]


@pytest.mark.parametrize(("handler", "shown"), WRONG, ids=name_of)
def test_what_can_take_neither_is_refused_by_its_name_and_signature(handler: Any, shown: str) -> None:
    with pytest.raises(ConfigError, match=rf"^handler .*{shown}: expected \(data\) or \(data, message\): "):
        takes_message(handler)


@pytest.mark.parametrize("handler", [None, 7, "print", [], {}, object()], ids=lambda it: type(it).__name__)
def test_what_cannot_be_called_is_no_handler(handler: Any) -> None:
    with pytest.raises(ConfigError, match=r"^handler=.*: expected a callable$"):
        takes_message(handler)
