"""`streamix show`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NoReturn

import click
import msgspec

from streamix_queue.admin import GroupStory, Sighting, Story, Storyteller
from streamix_queue.cli.shared.durations import in_words
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.options import examples, output_option, stream_options
from streamix_queue.cli.shared.output import Column, document, note, printable, say, table, write
from streamix_queue.core.redact import redact_text

__all__ = ["show"]

_LINES = (
    ("entry", "entry_id"),
    ("message", "message_id"),
    ("event", "event"),
    ("created", "created_at"),
    ("updated", "updated_at"),
    ("retries", "retries"),
    ("trace", "trace_id"),
)
_COLUMNS = (
    Column("GROUP", "group", "cyan"),
    Column("STATE", "state"),
    Column("ID", "id"),
    Column("WHAT", "what", shrinks=True),
    Column("RETRIES", "retries", wide=True),
    Column("REPLAYS", "replays", wide=True),
    Column("CONSUMER", "consumer", wide=True),
)
_MEANING = {
    "undelivered": "not delivered yet",
    "handled": "the group is past it, and has it nowhere",
    "settled": "settled; what became of it may be where this did not look",
    "lost": "it was trimmed or deleted before it was delivered",
    "unknown": "not here; which entry of the stream it was is not known",
}


@click.command(
    epilog=examples(
        "streamix show 1713982500001-0",
        "streamix show 6f1c1f6e-5f0e-4c53-9a35-3d7a8a4f6a0e --scan 100000",
        "streamix show 1713982500001-0 -o json",
    )
)
@click.argument("message", metavar="ID")
@stream_options
@click.option(
    "--scan",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Look through so many of each place, the newest first.",
)
@output_option
def show(*, message: str, redis_url: str, stream: str, scan: int, output: str) -> int:
    """Show one message: what is in it, and where it is in every group.

    ID is that of an entry of the stream, of an inbox or of a dead letter (1713982500001-0), or of
    the message, as the log has it. Only looks. An entry is found wherever it is on the stream; a
    message, and what became of it, within the newest N of the stream, of each group's inboxes and of
    the dead letters, and the N retries of each group that are due next.

    A group is done with what is "handled": it is past it, and has it nowhere. It may have been purged
    from the dead letters, or be older than the group, too.
    """
    with Storyteller(redis_url, stream) as storyteller:
        story = storyteller.story(message, scan=scan)
    if not story.found:
        _not_found(story, scan)
    if output in ("json", "ndjson"):
        document(output, _whole(story))
    else:
        _for_people(story, output)
    if story.unsearched:
        note(_only_a_part(story, scan))
    if story.also_letter:
        note(f"There is a dead letter with this id, too, of another message:  streamix dlq show {message}")
    return Exit.OK


def _not_found(story: Story, scan: int) -> NoReturn:
    advice = []
    if story.nearby:
        advice.append(f"Ids like it: {', '.join(story.nearby)}")
    if story.unsearched:
        advice.append(_only_a_part(story, scan))
    advice.append("It was handled and trimmed, or never was. The newest entries:  streamix tail")
    raise Failure(Exit.NOT_FOUND, f"no message {story.asked!r} is known", *advice)


def _only_a_part(story: Story, scan: int) -> str:
    return f"Looked at {scan} only of {', '.join(story.unsearched)}; --scan looks further."


# --- as data ------------------------------------------------------------------------------------


def _whole(story: Story) -> dict[str, Any]:
    return {
        "asked": story.asked,
        "entry_id": story.entry_id or None,
        "on_stream": story.on_stream,
        "other_entries": list(story.other_entries),
        "message_id": story.message_id or None,
        "event": story.event,
        "created_at": story.created_at,
        "updated_at": story.updated_at,
        "retries": story.retries,
        "trace_id": story.trace_id or None,
        "data": story.data,
        "error": story.error,
        "also_letter": story.also_letter,
        "groups": [_group(group) for group in story.groups],
        "unsearched": list(story.unsearched),
    }


def _group(group: GroupStory) -> dict[str, Any]:
    return {
        "group": group.group or None,
        "state": group.state,
        "places": [_place(sighting) for sighting in group.sightings],
    }


def _place(sighting: Sighting) -> dict[str, Any]:
    return {
        "state": sighting.state,
        "id": sighting.id or None,
        "inbox_of": sighting.inbox_of,
        "source_id": sighting.source_id or None,
        "consumer": sighting.consumer or None,
        "idle_s": sighting.idle_s,
        "deliveries": sighting.deliveries,
        "due_at": _due(sighting),
        "reason": sighting.reason or None,
        "error_type": sighting.error_type or None,
        "error": redact_text(sighting.error) or None,
        "retries": sighting.retries,
        "replays": sighting.replays,
        "attempts": [
            {
                "at": attempt.at,
                "seconds": attempt.seconds,
                "error_type": attempt.error_type,
                "error": redact_text(attempt.error),
                "consumer": attempt.consumer,
            }
            for attempt in sighting.attempts
        ],
    }


def _due(sighting: Sighting) -> str | None:
    if sighting.due_ms is None:
        return None
    return datetime.fromtimestamp(sighting.due_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")


# --- for people ---------------------------------------------------------------------------------


def _for_people(story: Story, output: str) -> None:
    for label, name in _LINES:
        value = getattr(story, name)
        text = "-" if value is None or value == "" else str(value)
        if name == "entry_id" and value and not story.on_stream:
            text += "  trimmed or deleted, not on the stream any more"
        write(printable(f"{label:<9} {text}"))
    if story.other_entries:
        write(printable(f"{'also':<9} {', '.join(story.other_entries)}"))
    _heading("groups")
    rows = [row for group in story.groups for row in _rows(group)]
    if not table(output, _COLUMNS, rows):
        write("  The stream has none.")
    for group in story.groups:
        for sighting in group.sightings:
            _attempts(group.group, sighting)
    _heading("payload")
    if story.data is None:
        write(printable(f"  {story.error or 'It is not there any more.'}"))
        return
    for line in msgspec.json.format(msgspec.json.encode(story.data), indent=2).decode().split("\n"):
        write("  " + printable(line))


def _rows(group: GroupStory) -> list[dict[str, Any]]:
    name = group.group or "(none named)"
    if not group.sightings:
        what = _MEANING[group.state]
        blank = dict.fromkeys(("id", "retries", "replays", "consumer"))
        return [{**blank, "group": name, "state": group.state, "what": what}]
    return [{**_place(each), "group": name, "what": _what(each)} for each in group.sightings]


def _what(sighting: Sighting) -> str:
    where = "" if sighting.inbox_of is None else f"in the inbox of {sighting.inbox_of}, "
    if sighting.state == "pending":
        times = f"delivery {sighting.deliveries}"
        return f"{where}held by {sighting.consumer} for {in_words(sighting.idle_s)}, {times}"
    if sighting.state == "waiting":
        return f"{where}not delivered yet"
    error = _error(sighting.error_type, sighting.error)
    if sighting.state == "delayed":
        return f"retry {sighting.retries}, due {_due(sighting)}, after {error}"
    return f"{sighting.reason}: {error}"


def _attempts(group: str, sighting: Sighting) -> None:
    if not sighting.attempts:
        return
    replayed = f", replayed {sighting.replays} times" if sighting.replays else ""
    _heading(f"attempts in {group or '(none named)'}{replayed}")
    for attempt in sighting.attempts:
        error = _error(attempt.error_type, attempt.error)
        write(printable(f"  {attempt.at}  {attempt.seconds:.3f} s  {attempt.consumer or '-'}  {error}"))


def _heading(text: str) -> None:
    write("")
    say(text, "bold")


def _error(error_type: str, error: str) -> str:
    return ": ".join(part for part in (error_type, redact_text(error)) if part) or "an error that nobody told"
