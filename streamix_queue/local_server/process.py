"""A child process that ends with its owner, however the owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OwnedProcess"]

# Has the kernel signal the child when its parent dies (PR_SET_PDEATHSIG = 1; kept over exec). Set in a
# program of its own, since a preexec_fn may deadlock in a process with threads. The parent may have
# died before it was set: that is what getppid() tells.
_LAUNCHER = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, int(sys.argv[1]))
if os.getppid() != int(sys.argv[2]):
    os._exit(1)
os.execv(sys.argv[3], sys.argv[3:])
"""


class OwnedProcess:
    """A running child process, ended by `end` or by the death of the process that made it.

    On Linux the kernel ends it when the owner dies, also by SIGKILL. Elsewhere the owner has to
    call `end`. The child leads a session of its own, so a Ctrl-C in the terminal
    reaches the owner alone, which can then stop its parts in order. In a forked copy of the
    owner every method but `exited` does nothing. Safe from any thread.

    Args:
        command: Program (an absolute path) and its arguments.
        log: File that receives the child's output, appended.
        death_signal: What the child gets when its owner dies.
        keep_fds: Open descriptors that the child inherits.
        thread_name: Name of the thread that waits for the child.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        death_signal: signal.Signals = signal.SIGTERM,
        keep_fds: Sequence[int] = (),
        thread_name: str = "streamix.embedded",
    ) -> None:
        self._owner_pid = os.getpid()
        self._exited = threading.Event()
        spawned: Future[subprocess.Popen[bytes]] = Future()

        def own() -> None:
            try:
                # A server may refuse to start under a locale that is not installed.
                environment = {**os.environ, "LC_ALL": "C"}
                with log.open("ab") as output:
                    process = subprocess.Popen(
                        _bound_to_parent(command, death_signal),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env=environment,
                        pass_fds=keep_fds,
                        start_new_session=True,
                    )
            except BaseException as error:  # noqa: BLE001 - raised again by result(), in the caller
                spawned.set_exception(error)
            else:
                spawned.set_result(process)
                process.wait()
            finally:
                self._exited.set()

        # For the kernel the parent is the *thread* that started the child. A thread that lives as
        # long as the child lets start() be called from one that does not.
        self._thread = threading.Thread(target=own, name=thread_name, daemon=True)
        self._thread.start()
        self._process = spawned.result()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def exited(self) -> bool:
        """Whether the child has ended."""
        return self._exited.is_set()

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; ``None`` while the child runs."""
        return self._process.returncode

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the child to end; tell whether it has."""
        return self._exited.wait(timeout_s)

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the child, unless it has ended."""
        if os.getpid() == self._owner_pid:
            self._process.send_signal(number)

    def end(self, grace_s: float = 10.0) -> None:
        """Ask the child to end, and kill it when it has not after ``grace_s`` seconds."""
        if os.getpid() != self._owner_pid:
            return
        self.send_signal(signal.SIGTERM)
        if not self.wait(grace_s):
            self.send_signal(signal.SIGKILL)
        self._thread.join()


def _bound_to_parent(command: Sequence[str], death_signal: signal.Signals) -> list[str]:
    # An application server or a frozen program may stand where the interpreter is expected;
    # starting a second one of those would be worse than a child that is left over.
    is_interpreter = Path(sys.executable or "").name.startswith(("python", "pypy"))
    if sys.platform != "linux" or not is_interpreter:
        return list(command)
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
    return [*launcher, str(int(death_signal)), str(os.getpid()), *command]
