"""`streamix dlq stats`."""

from __future__ import annotations

from dataclasses import asdict

import click

from streamix_queue.admin import Admin
from streamix_queue.cli.dlq.selection import Selection, filter_options
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, note, table
from streamix_queue.core.redact import redact_text

__all__ = ["stats"]

_COLUMNS = (
    Column("FINGERPRINT", "fingerprint", "cyan"),
    Column("COUNT", "count"),
    Column("GROUP", "group"),
    Column("EVENT", "event"),
    Column("LAST", "last_failed_at"),
    Column("SAMPLE", "sample_id"),
    Column("TYPE", "error_type", "red"),
    Column("ERROR", "error", shrinks=True),
)


@click.command(
    epilog=examples(
        "streamix dlq stats",
        "streamix dlq stats --newer-than 1h -o json",
    )
)
@stream_options
@group_option("Those of this group.")
@filter_options
@click.option(
    "--scan",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Look at the newest so many.",
)
@output_option
def stats(
    *, redis_url: str, stream: str, group: str | None, selection: Selection, scan: int, output: str
) -> int:
    """Count dead letters by how they failed.

    Letters of the same event, class of error and text have one fingerprint, whatever the numbers,
    UUIDs and quoted values in the text. `dlq ls`, `replay`, `export` and `purge` take it.
    """
    with Admin(redis_url, stream) as admin:
        found = admin.fingerprints(selection.filter(admin, group), scan=scan)
    lines = (
        {**asdict(each), "group": each.group or None, "error": redact_text(each.error)}
        for each in found.groups
    )
    if table(output, _COLUMNS, lines) == 0:
        note("No dead letters match." if found.seen else "No dead letters.")
    if not found.complete:
        note(f"Only the newest {found.seen} were looked at; --scan looks at more.")
    return Exit.OK
