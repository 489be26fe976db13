"""`Storyteller`: finds one message wherever it is: stream, inboxes, delayed sets, dead letters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamix_queue.admin.control import Control
from streamix_queue.admin.dead_letters import read_entry
from streamix_queue.admin.reading import LetterReader
from streamix_queue.admin.session import Session
from streamix_queue.admin.sightings import Telling, dead, delayed, in_inbox, of_fields, of_letter
from streamix_queue.admin.stories import GroupStory, Sighting, Story, most_alive
from streamix_queue.broker.protocol import Entry
from streamix_queue.broker.redis.admin import RedisAdminBroker
from streamix_queue.broker.redis.look import RedisLookBroker
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number, text
from streamix_queue.core.entry_ids import is_entry_id, looks_like_entry_id
from streamix_queue.core.keys import Keys
from streamix_queue.core.texts import as_text
from streamix_queue.core.wire import Fields, unframe

__all__ = ["Storyteller"]

_PLAIN = re.compile(r"[A-Za-z0-9._:-]+\Z")
"""A message id that JSON always writes as it is."""
_PAGE = 50
"""Entries with their payloads per read: one may hold a megabyte."""
_COPIES = 10
_COMPARED = 300
_THE_STREAM = "the stream"
_MAX_MESSAGE_ID = 1000
DEFAULT_SCAN = 10_000


@dataclass
class _Clues:
    """What is known so far, by which the message is known elsewhere."""

    entry_ids: list[str] = field(default_factory=list)
    message_id: str = ""
    on_stream: bool = False
    message: Telling | None = None
    also_letter: bool = False
    sightings: dict[str, list[Sighting]] = field(default_factory=dict)
    unsearched: list[str] = field(default_factory=list)
    nearby: list[str] = field(default_factory=list)

    def fit(self, message_id: str, source_id: str) -> bool:
        return (bool(message_id) and message_id == self.message_id) or source_id in self.entry_ids

    def learn(self, message: Telling, source_id: str = "") -> None:
        self.message = self.message or message
        self.message_id = self.message_id or message.message_id
        if source_id and not self.entry_ids:
            self.entry_ids.append(source_id)

    def saw(self, group: str, sighting: Sighting) -> None:
        known = self.sightings.setdefault(group, [])
        if not any(each.place == sighting.place for each in known):  # the one that was asked for
            known.append(sighting)


class Storyteller(Session):
    """Tells where a message is, and what became of it. Only reads.

    Not thread-safe: one for each thread. May be used as a context manager.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream, not its dead-letter stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self, redis_url: str = DEFAULT_REDIS_URL, stream: str = DEFAULT_STREAM, *, timeout_ms: int = 5000
    ) -> None:
        super().__init__(redis_url, stream, timeout_ms)
        self._control = Control(redis_url, stream, timeout_ms=timeout_ms)
        self._keys = Keys(stream, "")
        self._look = RedisLookBroker(redis_url, timeout_s=self._timeout_s)
        self._admin = RedisAdminBroker(redis_url, timeout_s=self._timeout_s)
        self._letters = LetterReader(self._admin, self._keys.failed)

    def story(self, message: str, *, scan: int = DEFAULT_SCAN) -> Story:
        """The story of a message, whether it is found or not.

        It is put together from several reads, while the groups go on: of what moves meanwhile
        two places may be told, or the one before.

        Args:
            message: Id of an entry of the stream, of an inbox or of a dead letter
                (``1713982500001-0``), or of a message.
            scan: How much of each place is looked through: the newest entries of the stream (only
                for the id of a message), the newest of each group's inboxes, its delayed retries
                that are due next, and the newest dead letters. Of a group with more than 100
                events only the inboxes of those that were handled last are looked through when
                the event of the message is not known.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        text("message", message)
        number("scan", scan, 1, 2**53)
        reached = {
            as_text(facts["name"]): as_text(facts["last-delivered-id"])
            for facts in self._look.groups(self._keys.stream)
        }
        clues = _Clues()
        if looks_like_entry_id(message):
            self._resolve(message, list(reached), clues)
        else:
            clues.message_id = message
            self._search_stream(scan, clues)
        held = self._search_pending(list(reached), clues)
        for group in reached:
            self._search_delayed(group, scan, clues)
        for group in reached:
            self._search_inboxes(group, scan, clues)
        self._search_letters(scan, clues)
        if clues.entry_ids and not held:  # the places told which entry it was
            self._load_entry(clues)
            self._search_pending(list(reached), clues)
        return self._told(message, reached, clues)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._control.close()
        self._look.close()
        self._admin.close()

    # --- which message is meant -----------------------------------------------------------------

    def _resolve(self, entry_id: str, groups: list[str], clues: _Clues) -> None:
        clues.entry_ids.append(entry_id)
        self._load_entry(clues)
        letter = self._letters.one(entry_id) if is_entry_id(entry_id) else None
        if clues.on_stream:
            clues.also_letter = letter is not None and not clues.fit(letter.message_id, letter.source_id)
            return
        if letter is not None:
            clues.entry_ids[:] = [letter.source_id] if letter.source_id else []
            clues.learn(of_letter(letter))
            clues.saw(letter.group, dead(letter))
        else:
            self._resolve_inbox_entry(entry_id, groups, clues)
        self._load_entry(clues)

    def _resolve_inbox_entry(self, entry_id: str, groups: list[str], clues: _Clues) -> None:
        places = [(group, event) for group in groups for event in self._look.events(self._keys_of(group))]
        inboxes = [self._keys_of(group).inbox(event) for group, event in places]
        found = self._look.entries_at(inboxes, entry_id.encode()) if is_entry_id(entry_id) else []
        for (group, event), entry in zip(places, found, strict=False):
            if entry is not None:
                message, history = of_fields(entry[1] or ())
                clues.entry_ids[:] = [history.source_id] if history.source_id else []
                clues.learn(message)
                self._saw_in_inbox(group, event, entry, clues)
                return

    def _load_entry(self, clues: _Clues) -> None:
        """Read the entry that the clues name, which tells more than any other place."""
        if not clues.entry_ids or clues.on_stream or not is_entry_id(clues.entry_ids[0]):
            return
        (entry,) = self._look.entries_at([self._keys.stream], clues.entry_ids[0].encode())
        if entry is not None:
            clues.on_stream = True
            clues.message, _ = of_fields(entry[1] or ())
            clues.message_id = clues.message_id or clues.message.message_id

    # --- where it is ----------------------------------------------------------------------------

    def _search_stream(self, scan: int, clues: _Clues) -> None:
        compared: list[str] = []
        for entry in self._newest(self._keys.stream, scan, _THE_STREAM, clues):
            fields = entry[1] or ()
            if len(compared) >= _COMPARED and not _may_hold(fields, [clues.message_id]):
                continue
            message, _ = of_fields(fields)
            if message.message_id == clues.message_id and len(clues.entry_ids) <= _COPIES:
                clues.entry_ids.append(as_text(entry[0]))
                clues.on_stream = True
                clues.learn(message)
            elif len(compared) < _COMPARED:
                compared.append(message.message_id)
        if not clues.on_stream and len(clues.message_id) <= _MAX_MESSAGE_ID:
            begun = [each for each in compared if each.startswith(clues.message_id)]
            clues.nearby = begun[:3] or difflib.get_close_matches(clues.message_id, compared, n=3, cutoff=0.8)

    def _search_pending(self, groups: list[str], clues: _Clues) -> bool:
        ids = [each for each in clues.entry_ids if is_entry_id(each)]
        places = [(group, entry_id) for group in groups for entry_id in ids]
        rows = self._look.held([(self._keys.stream, group.encode(), each.encode()) for group, each in places])
        for (group, entry_id), row in zip(places, rows, strict=True):
            if row is not None:
                clues.saw(
                    group,
                    Sighting(
                        "pending",
                        entry_id,
                        source_id=entry_id,
                        consumer=as_text(row.consumer),
                        idle_s=row.idle_ms / 1000,
                        deliveries=row.deliveries,
                    ),
                )
        return bool(ids)

    def _search_delayed(self, group: str, scan: int, clues: _Clues) -> None:
        looked = 0
        for retry in self._control.retries(group, look_at=scan):
            looked += 1
            if clues.fit(retry.message_id, retry.source_id):
                message, history = of_fields(unframe(retry.member)[1:])
                clues.learn(message, history.source_id)
                clues.saw(group, delayed(retry, history))
        if looked == scan and self._control.count_retries(group) > scan:
            clues.unsearched.append(f"the delayed retries of group {group!r}")

    def _search_inboxes(self, group: str, scan: int, clues: _Clues) -> None:
        keys, left = self._keys_of(group), scan
        known = clues.message.event if clues.message else None
        for event in [known] if known is not None else self._look.events(keys):
            where = f"the inboxes of group {group!r}"
            if left <= 0:
                clues.unsearched.append(where)
                return
            for entry in self._newest(keys.inbox(event), left, where, clues):
                left -= 1
                fields = entry[1] or ()
                if not _may_hold(fields, [*clues.entry_ids, clues.message_id]):
                    continue
                self._saw_in_inbox(group, event, entry, clues)
            if where in clues.unsearched:
                return

    def _saw_in_inbox(self, group: str, event: str, entry: Entry, clues: _Clues) -> None:
        keys = self._keys_of(group)
        message, history = of_fields(entry[1] or ())
        if clues.fit(message.message_id, history.source_id):
            clues.learn(message, history.source_id)
            (row,) = self._look.held([(keys.inbox(event), keys.group, entry[0])])
            clues.saw(group, in_inbox(event, entry[0], row, message, history))

    def _search_letters(self, scan: int, clues: _Clues) -> None:
        for entry in self._newest(self._keys.failed, scan, "the dead letters", clues):
            fields = entry[1] or ()
            if not _may_hold(fields, [*clues.entry_ids, clues.message_id]):
                continue
            letter = read_entry(entry[0], fields)
            if clues.fit(letter.message_id, letter.source_id):
                clues.learn(of_letter(letter), letter.source_id)
                clues.saw(letter.group, dead(letter))

    def _newest(self, key: bytes, scan: int, where: str, clues: _Clues) -> Iterator[Entry]:
        below, left = None, scan
        while left > 0:
            count = min(_PAGE, left)
            page = self._look.newest(key, below, count)
            yield from page
            if len(page) < count:
                return
            below, left = page[-1][0], left - len(page)
        if self._look.newest(key, below, 1):
            clues.unsearched.append(where)

    # --- what that means ------------------------------------------------------------------------

    def _told(self, asked: str, reached: dict[str, str], clues: _Clues) -> Story:
        if clues.on_stream:  # older entries with the same message are all that was missed there
            clues.unsearched = [place for place in clues.unsearched if place != _THE_STREAM]
        unsearched = tuple(dict.fromkeys(clues.unsearched))
        if not clues.on_stream and not clues.sightings:
            nearby = clues.nearby
            if is_entry_id(asked):
                nearby = self._neighbours(asked.encode())
            return Story(asked, found=False, nearby=tuple(nearby), unsearched=unsearched)
        entry_id = clues.entry_ids[0] if clues.entry_ids else ""
        groups = []
        for name in sorted(reached.keys() | clues.sightings.keys()):
            sightings = most_alive(clues.sightings.get(name, []))
            state = sightings[0].state if sightings else _state(entry_id, reached[name], clues)
            groups.append(GroupStory(name, state, sightings))
        return Story(
            asked,
            found=True,
            entry_id=entry_id,
            on_stream=clues.on_stream,
            other_entries=tuple(clues.entry_ids[1:]),
            also_letter=clues.also_letter,
            groups=tuple(groups),
            unsearched=unsearched,
            **vars(clues.message or Telling()),
        )

    def _neighbours(self, entry_id: bytes) -> list[str]:
        key = self._keys.stream
        around = [*self._look.newest(key, entry_id, 1), *self._look.entries_after(key, entry_id, 1)]
        return [as_text(entry[0]) for entry in around]

    def _keys_of(self, group: str) -> Keys:
        return Keys(self._stream, group)


def _state(entry_id: str, reached: str, clues: _Clues) -> str:
    if not is_entry_id(entry_id):
        return "unknown"
    if _order(entry_id) > _order(reached):
        return "undelivered" if clues.on_stream else "lost"
    elsewhere = [place for place in clues.unsearched if place != _THE_STREAM]
    return "settled" if elsewhere else "handled"


def _may_hold(fields: Fields, ids: list[str]) -> bool:
    """False if none of the ids is in there: decoding every entry would take ten times as long."""
    needles = [each.encode() for each in ids if each]
    if not all(_PLAIN.match(each) for each in ids if each):
        return True
    return any(needle in value for value in fields for needle in needles)


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
