"""`streamix doctor`."""

from __future__ import annotations

import click

from streamix_queue.admin import examine
from streamix_queue.cli.shared.durations import duration_ms
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table

__all__ = ["doctor"]

_COLUMNS = (
    Column("SEVERITY", "severity"),
    Column("CHECK", "id", "cyan"),
    Column("FOUND", "title"),
    Column("DETAIL", "detail", wide=True),
    Column("MEND WITH", "mend"),
)


@click.command(epilog=examples("streamix doctor", "streamix doctor --strict -o json"))
@stream_options
@click.option(
    "--dead-after",
    type=duration_ms,
    default="10m",
    show_default=True,
    metavar="TIME",
    help="A consumer that was silent for longer is dead.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 on a warning, too.")
@output_option
def doctor(*, redis_url: str, stream: str, dead_after: int, strict: bool, output: str) -> int:
    """Find what is wrong, and the command that mends it.

    Looks at the server, this user's rights, the stream and its groups. Nothing is written.
    Exits with 1 if anything fails.
    """
    findings = examine(redis_url, stream, dead_after_ms=max(1, dead_after))
    table(output, _COLUMNS, map(vars, findings))
    count = {severity: sum(f.severity == severity for f in findings) for severity in ("fail", "warn")}
    note(f"{count['fail']} failed, {count['warn']} warnings.")
    return Exit.CONDITION if count["fail"] or (strict and count["warn"]) else Exit.OK
