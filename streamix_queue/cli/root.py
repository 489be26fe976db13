"""The root of the command: its verbs, and how each of its ends becomes an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from streamix_queue.__about__ import __version__
from streamix_queue.cli.config.file import config_option
from streamix_queue.cli.shared.lazy_group import LazyGroup, Verb

__all__ = ["VERBS", "run", "streamix"]

# Name → where it is, in the order of the help. What the help says of a verb is its own docstring.
VERBS = {
    "demo": Verb("streamix_queue.cli.demo.command:demo", "Try it"),
    "server": Verb("streamix_queue.cli.server:server", "Try it"),
    "run": Verb("streamix_queue.cli.run.command:run", "Run it"),
    "publish": Verb("streamix_queue.cli.publish.command:publish", "Run it"),
    "lag": Verb("streamix_queue.cli.lag:lag", "Look at it"),
    "top": Verb("streamix_queue.cli.top.command:top", "Look at it"),
    "groups": Verb("streamix_queue.cli.groups:groups", "Look at it"),
    "consumers": Verb("streamix_queue.cli.consumers:consumers", "Look at it"),
    "pending": Verb("streamix_queue.cli.pending:pending", "Look at it"),
    "tail": Verb("streamix_queue.cli.tail:tail", "Look at it"),
    "show": Verb("streamix_queue.cli.show:show", "Look at it"),
    "dlq": Verb("streamix_queue.cli.dlq.command:dlq", "Operate it"),
    "pause": Verb("streamix_queue.cli.pause:pause", "Operate it"),
    "resume": Verb("streamix_queue.cli.resume:resume", "Operate it"),
    "retries": Verb("streamix_queue.cli.retries.command:retries", "Operate it"),
    "trim": Verb("streamix_queue.cli.trim:trim", "Operate it"),
    "doctor": Verb("streamix_queue.cli.doctor:doctor", "Operate it"),
    "health": Verb("streamix_queue.cli.health:health", "Operate it"),
    "config": Verb("streamix_queue.cli.config.command:config", "Other"),
    "completion": Verb("streamix_queue.cli.completion:completion", "Other"),
    "version": Verb("streamix_queue.cli.version:version", "Other"),
}

_EPILOG = """\b
Exit codes:
  0  done                            4  cannot import the application, or an extra is missing
  1  not so, or failed in part       5  not found
  2  wrong usage                     6  refused: needs --yes
  3  cannot reach Redis            130  interrupted

Data goes to stdout, messages to stderr. `streamix COMMAND --help` explains a command.
"""


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="streamix-queue", message="%(prog)s %(version)s")
@config_option
def streamix() -> None:
    """Events between services on Redis Streams."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code. Only a missing extra comes out as an error."""
    try:
        code = streamix.main(args=arguments, prog_name="streamix", standalone_mode=False)
        sys.stdout.flush()
    except ModuleNotFoundError:
        raise
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - every ending has an exit code and a text
        # Imported here: an ending without an error needs none of it.
        from streamix_queue.cli.shared.exits import report  # noqa: PLC0415

        return report(error)
    return code if isinstance(code, int) else 0
