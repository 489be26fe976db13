"""`streamix dlq show`."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from streamix_queue.admin import Admin
from streamix_queue.admin.letters.export import exported
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.options import examples, output_option, stream_options
from streamix_queue.cli.shared.output import document, printable, say, write
from streamix_queue.core.redact import redact_text

__all__ = ["show"]

_LINES = (
    ("id", "id"),
    ("group", "group"),
    ("event", "event"),
    ("reason", "reason"),
    ("error", "error"),
    ("error type", "error_type"),
    ("fingerprint", "fingerprint"),
    ("message", "message_id"),
    ("trace", "trace_id"),
    ("consumer", "consumer"),
    ("failed at", "failed_at"),
    ("retries", "retries"),
    ("replays", "replays"),
    ("entry", "source_id"),
)


@click.command(
    epilog=examples("streamix dlq show 1713982500001-0", "streamix dlq show 1713982500001-0 -o json")
)
@click.argument("letter_id", metavar="ID")
@stream_options
@output_option
def show(*, letter_id: str, redis_url: str, stream: str, output: str) -> int:
    """Show a dead letter whole, its payload included."""
    with Admin(redis_url, stream) as admin:
        letter = admin.dead_letter(letter_id)
    if letter is None:
        raise Failure(
            Exit.NOT_FOUND,
            f"there is no dead letter {letter_id}",
            "It was replayed or removed before, or never was. Those there are:  streamix dlq ls",
        )
    whole = exported(letter)
    whole |= {name: redact_text(whole[name]) for name in ("error", "traceback") if whole[name]}
    for attempt in whole["attempts"]:
        attempt["error"] = redact_text(attempt["error"])
    # The message as text holds all of that a second time, unredacted; to have it is what export is for.
    raw = whole.pop("fields")
    if output in ("json", "ndjson"):
        document(output, whole)
    else:
        _for_people(whole, raw)
    return Exit.OK


def _for_people(letter: dict[str, Any], raw: list[list[Any]]) -> None:
    for label, key in _LINES:
        value = letter[key]
        write(f"{label:<12} {'-' if value is None or value == '' else printable(str(value))}")
    if letter["attempts"]:
        write("")
        say("attempts", "bold")
    for attempt in letter["attempts"]:
        error = f"{attempt['error_type']}: {attempt['error']}"
        write(
            printable(f"  {attempt['at']}  {attempt['seconds']:.3f} s  {attempt['consumer'] or '-'}  {error}")
        )
    if letter["traceback"]:
        write("")
        say("traceback", "bold")
        _lines(letter["traceback"])
    write("")
    say("payload", "bold")
    if letter["data"] is not None:
        _lines(msgspec.json.format(msgspec.json.encode(letter["data"]), indent=2).decode())
        return
    write("  It could not be decoded. The fields of the entry, as they are:")
    for name, value in raw:
        write(printable(f"  {name}: {value}"))


def _lines(text: str) -> None:
    for line in text.split("\n"):
        write("  " + printable(line))
