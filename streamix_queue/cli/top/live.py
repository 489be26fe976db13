"""The screen of `streamix top`: frame after frame, until a key or a signal ends it."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.live import Live

from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.output import at_terminal
from streamix_queue.cli.top.frame import Frame
from streamix_queue.cli.top.screen import screen
from streamix_queue.core.errors import BrokerError

__all__ = ["run_screen"]

Wait = Callable[[float], bool]
"""Waits for so many seconds; true if somebody asked for the end."""


class _Terminated(BaseException):
    """SIGTERM came: the terminal is restored first, then the signal ends the process."""


def run_screen(look: Callable[[], Frame], interval_s: float, output: str) -> int:
    """Draw a frame every ``interval_s`` seconds until somebody ends it; returns the exit code.

    Raises:
        BrokerError: the first look failed. Later ones are tried again, and the screen says so.
    """
    taken = look()  # before the screen is switched: its error is to stay on the terminal
    console = Console(highlight=False, markup=False, emoji=False)
    try:
        with _signals(), _keyboard() as wait, Live(console=console, screen=True, auto_refresh=False) as live:
            lost: list[str] = []
            while True:
                heading = f"streamix top  {time.strftime('%H:%M:%S')}  every {interval_s:g}s  q ends"
                live.update(screen(output, taken, heading, lost, console.size), refresh=True)
                if wait(interval_s):
                    return Exit.OK
                try:
                    taken, lost = look(), []
                except BrokerError as error:
                    since = lost[1:] or [f"What is below is of {time.strftime('%H:%M:%S')} or before."]
                    lost = [f"Redis cannot be asked, trying again: {error}"[:300], *since]
    except KeyboardInterrupt:  # how a watch ends
        return Exit.OK
    except _Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        return Exit.INTERRUPTED  # if SIGTERM is blocked


@contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGTERM into an exception, and ignore Ctrl-Z, which would leave the screen switched."""

    def terminated(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _Terminated

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminated),
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _keyboard() -> Iterator[Wait]:
    """Read keys unbuffered and without echo if stdin is a terminal; restore its mode afterwards."""
    if not at_terminal(sys.stdin):
        yield _sleep
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard, termios.TCSANOW)
        yield lambda seconds: _asked_to_end(keyboard, seconds)
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _asked_to_end(keyboard: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while select.select([keyboard], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            pressed = os.read(keyboard, 1024)
        except OSError:  # the terminal is gone
            return True
        if not pressed or b"q" in pressed.lower():
            return True
        if time.monotonic() >= deadline:
            return False
    return False
