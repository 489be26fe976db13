"""`streamix dlq export`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec

from streamix_queue.admin import Admin
from streamix_queue.cli.dlq.selection import Selection, filter_options
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.options import examples, group_option, stream_options
from streamix_queue.cli.shared.output import note, record

__all__ = ["export"]


@click.command(
    epilog=examples(
        "streamix dlq export --older-than 30d --to letters.ndjson",
        "streamix dlq export --fingerprint 3f9c1d20ab | jq .data",
    )
)
@stream_options
@group_option("Those of this group.")
@filter_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The oldest so many.")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Into a new file, that only you can read, instead of stdout.",
)
def export(
    *,
    redis_url: str,
    stream: str,
    group: str | None,
    selection: Selection,
    limit: int | None,
    to: Path | None,
) -> int:
    """Write dead letters whole, a line of JSON each, the oldest first.

    Payloads are in it as they are. Under "fields" is the entry byte for byte, what is no text as
    base64.
    """
    with Admin(redis_url, stream) as admin, ExitStack() as stack:
        letters = admin.export(selection.filter(admin, group), limit=limit)
        put = record if to is None else _file(stack, to)
        count = 0
        for letter in letters:
            put(letter)
            count += 1
    note(f"Exported {count}." if count else "No dead letters match.")
    return Exit.OK


def _file(stack: ExitStack, path: Path) -> Callable[[Mapping[str, Any]], None]:
    try:
        path.touch(mode=0o600, exist_ok=False)
        file = stack.enter_context(path.open("wb"))
    except FileExistsError:
        raise Failure(Exit.REFUSED, f"{path} is there already", "Name another file, or remove it.") from None
    except OSError as error:
        raise Failure(Exit.USAGE, f"cannot write {path}: {error.strerror}") from None

    def put(letter: Mapping[str, Any]) -> None:
        file.write(msgspec.json.encode(letter) + b"\n")

    return put
