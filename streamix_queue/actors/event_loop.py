"""The one event-loop thread of a consumer: where coroutines of handlers run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from streamix_queue.core.errors import HandlerTimeout

__all__ = ["EventLoop"]


class EventLoop:
    """Starts its thread at the first coroutine. Thread-safe.

    A worker waits for its coroutine, so the limit on concurrency holds for both kinds alike.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def run(self, awaitable: Awaitable[Any], timeout_s: float | None) -> Any:
        """Run it to its end and return or raise what it does; cancelled after ``timeout_s``.

        It sees the caller's context, so that spans and bound log fields are current in it.
        """
        loop = self._running()
        done: Future[Any] = Future()

        async def await_it() -> None:
            try:
                done.set_result(await asyncio.wait_for(awaitable, timeout_s))
            except asyncio.TimeoutError as error:
                done.set_exception(_timeout(error, timeout_s))
            except BaseException as error:  # noqa: BLE001 - the worker decides about all of them
                done.set_exception(error)

        # create_task() copies the context it is called in; 3.10 has no context= for it.
        tasks: list[asyncio.Task[None]] = []  # the loop itself keeps only weak references
        loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(await_it())), context=copy_context())
        return done.result()

    def close(self) -> None:
        """Stop the loop, cancel what still runs, and end its thread; waits for that for 5 s at most."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        self._closing.set()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._closing = threading.Event()
                self._thread = threading.Thread(
                    target=_live, args=(self._loop, self._closing), name="streamix.event-loop", daemon=True
                )
                self._thread.start()
            return self._loop


def _live(loop: asyncio.AbstractEventLoop, closing: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not closing.is_set():
            _run(loop)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run it until something ends it: we, a handler that stops it, or SystemExit in a task.

    asyncio gives such an error to who awaits the task, and lets it end the loop as well. The
    first is right here; the second would leave every other coroutine of the process hanging.
    """
    with suppress(SystemExit, KeyboardInterrupt):
        loop.run_forever()


def _timeout(error: BaseException, timeout_s: float | None) -> BaseException:
    """Ours if the time was limited and the error has no text, as asyncio's own: then say so."""
    if timeout_s is None or str(error):
        return error
    return HandlerTimeout(f"the handler ran longer than {timeout_s:g} s")
