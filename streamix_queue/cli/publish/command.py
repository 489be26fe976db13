"""`streamix publish`: one event from the command line, or many from a file or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from streamix_queue.cli.publish.input import BadInput, Item, NoInputYet, items, lines, message_in
from streamix_queue.cli.publish.progress import Progress
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import document, note, record, write
from streamix_queue.core.config import PublisherConfig
from streamix_queue.core.errors import BacklogFull, BrokerError
from streamix_queue.core.message import StreamMessage
from streamix_queue.publishing.publisher import Publisher

__all__ = ["publish"]

_AT_ONCE = 500
_BAD_SHOWN = 10


@click.command(
    epilog=examples(
        """streamix publish order.placed '{"order": 7}'""",
        "streamix publish order.placed @order.json",
        "jq -c .orders[] export.json | streamix publish order.placed -",
        "streamix publish @events.ndjson --skip-bad --quiet",
    )
)
@click.argument("event", metavar="[EVENT]")
@click.argument("data", metavar="JSON|@FILE|-", required=False)
@stream_options
@group_option("Create this group if it is missing, so that the events are kept for it.")
@click.option("--ndjson", is_flag=True, help="The file has an object on each line.")
@click.option("--skip-bad", is_flag=True, help="Leave out lines that cannot be published, and count them.")
@click.option(
    "--max-message-bytes",
    type=click.IntRange(1),
    default=PublisherConfig.max_message_bytes,
    show_default=True,
    metavar="N",
    help="Largest message, encoded.",
)
@click.option("--dry-run", is_flag=True, help="Only check what would be published.")
@click.option("-q", "--quiet", is_flag=True, help="Print no ids.")
@output_option
def publish(
    *,
    event: str,
    data: str | None,
    redis_url: str,
    stream: str,
    group: str | None,
    ndjson: bool,
    skip_bad: bool,
    max_message_bytes: int,
    dry_run: bool,
    quiet: bool,
    output: str,
) -> int:
    """Publish an event, or many from a file or a pipe.

    The payload is a JSON object: as an argument, in @FILE, or with - one on each line of stdin
    (also of @FILE with --ndjson). If EVENT is left out, each line names its own:
    {"event": "order.placed", "data": {...}}.

    Prints the id of each message. A line that cannot be published ends it with exit code 1 and
    its number, after what stands before it was published.
    """
    name, source = (None, event) if data is None else (event, data)
    many = name is None or source == "-" or ndjson
    if name is None and source != "-" and not event.startswith("@"):
        raise click.UsageError(f"give the payload of {event!r}: JSON, @FILE, or - for stdin")
    if (ndjson or skip_bad) and not (many and source[:1] in ("-", "@")):
        raise click.UsageError("--ndjson and --skip-bad are for many lines: from @FILE with --ndjson, or -")
    run = _Run(output, quiet=quiet, dry_run=dry_run, skip_bad=skip_bad)
    with Publisher(redis_url, stream, max_message_bytes=max_message_bytes) as publisher:
        run.send = lambda batch: publisher.publish_many(batch, group=group)
        if not many:
            run.one(name or "", _payload(source), max_message_bytes)
        else:
            with _opened(source) as descriptor:
                run.many(descriptor, items(lines(descriptor), name, max_message_bytes))
    return run.conclude()


class _Run:
    """One call of the verb: what was read, published and skipped."""

    def __init__(self, output: str, *, quiet: bool, dry_run: bool, skip_bad: bool) -> None:
        self.send: Any = None
        self._output = output
        self._quiet, self._dry_run, self._skip_bad = quiet, dry_run, skip_bad
        self._published = 0
        self._bad = 0
        self._last_line = 0  # every good line up to here is published
        self._records: list[dict[str, Any]] = []
        self._progress = Progress()

    def one(self, event: str, text: bytes, max_bytes: int) -> None:
        try:
            item = Item(0, *message_in(text, event, max_bytes))
        except BadInput as error:
            raise Failure(Exit.USAGE, f"nothing was published: {error}") from None
        self._publish([item])

    def many(self, descriptor: int, found: Iterator[Item | NoInputYet]) -> None:
        batch: list[Item] = []
        with self._progress.drawn(descriptor, quiet=self._quiet):
            for item in found:
                if isinstance(item, Item) and not item.problem:
                    batch.append(item)
                    if len(batch) < _AT_ONCE:
                        continue
                self._publish(batch)
                batch = []
                if isinstance(item, Item) and item.problem:
                    self._refuse(item)
            self._publish(batch)

    def conclude(self) -> int:
        if self._output == "json" and not self._quiet:
            document("json", self._records)
        skipped = f", {self._bad} bad lines left out" if self._bad else ""
        note(f"{'Would publish' if self._dry_run else 'Published'} {self._published}{skipped}.")
        return Exit.CONDITION if self._bad else Exit.OK

    def _publish(self, batch: list[Item]) -> None:
        if not batch:
            return
        messages: list[StreamMessage] = []
        if not self._dry_run:
            try:
                messages = self.send([(item.event, item.data) for item in batch])
            except (BacklogFull, BrokerError) as error:
                self._note_interrupted(batch, error.written)
                raise
        self._published += len(batch)
        self._last_line = batch[-1].number
        self._print(messages)
        self._progress.advance(self._published)

    def _print(self, messages: list[StreamMessage]) -> None:
        if self._quiet:
            return
        for message in messages:
            line = {"id": message.id, "event": message.event, "created_at": message.timestamps.created_at}
            if self._output == "json":
                self._records.append(line)
            elif self._output == "ndjson":
                record(line)
            else:
                write(message.id)

    def _refuse(self, item: Item) -> None:
        self._bad += 1
        self._last_line = item.number
        if not self._skip_bad:
            raise Failure(
                Exit.CONDITION,
                f"line {item.number}: {item.problem}",
                f"{'Good' if self._dry_run else 'Published'}: the {self._published} messages before it.",
                f"Mend it and go on with:  tail -n +{item.number}   or leave such lines out with --skip-bad.",
            )
        if self._bad <= _BAD_SHOWN:
            note(f"line {item.number}: {item.problem}")
            if self._bad == _BAD_SHOWN:
                note("More bad lines are only counted.")

    def _note_interrupted(self, batch: list[Item], written: tuple[int, ...]) -> None:
        """Say which lines are published for sure, so that going on neither repeats nor loses one."""
        if not batch[-1].number:
            return
        surely = self._published + len(written)
        note(f"Published for sure: {surely} messages, all up to line {self._last_line}.")
        for index in written[:_BAD_SHOWN]:
            note(f"  also line {batch[index].number}")
        note(f"Look at lines {batch[0].number} to {batch[-1].number} before you go on.")


def _payload(source: str) -> bytes:
    if not source.startswith("@"):
        return source.encode(errors="surrogateescape")
    with _opened(source) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


@contextmanager
def _opened(source: str) -> Iterator[int]:
    if source == "-":
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(source[1:], os.O_RDONLY)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Failure(Exit.USAGE, f"cannot read {source[1:]!r}: {why}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)
