"""The collectors of which each registry has one."""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.registry import Collector

__all__ = ["PerRegistry", "RegistryCollector"]


class RegistryCollector(Collector, ABC):
    """A collector that its registry has once."""

    @abstractmethod
    def begin_anew(self) -> None:
        """In a child after a fork: with new locks, and without what is the parent's.

        Another thread of the parent may have held the old locks; the consumers and sockets are its.
        """


_C = TypeVar("_C", bound=RegistryCollector)


class PerRegistry(Generic[_C]):
    """Gives each registry its collector of one kind. Thread-safe.

    Args:
        make: Makes one; for each registry called once.
    """

    def __init__(self, make: Callable[[], _C]) -> None:
        self._make = make
        self._lock = threading.Lock()  # guards the two below
        self._by_registry: weakref.WeakKeyDictionary[CollectorRegistry, _C] = weakref.WeakKeyDictionary()
        self._made: weakref.WeakSet[_C] = weakref.WeakSet()  # some may outlive their registry
        _all.append(self)

    def __call__(self, registry: CollectorRegistry = REGISTRY) -> _C:
        """The collector of ``registry``, made and registered at the first call."""
        with self._lock:
            collector = self._by_registry.get(registry)
            if collector is None:
                collector = self._make()
                registry.register(collector)
                self._by_registry[registry] = collector
                self._made.add(collector)
            return collector

    def begin_anew(self) -> None:
        """In a child after a fork: so does each of them."""
        self._lock = threading.Lock()
        for collector in list(self._made):
            collector.begin_anew()


_all: list[PerRegistry[Any]] = []


def _forked() -> None:
    for each in _all:
        each.begin_anew()


os.register_at_fork(after_in_child=_forked)
