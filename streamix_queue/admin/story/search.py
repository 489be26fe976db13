"""Looks for one message in each place where it may be: stream, inboxes, delayed sets, dead letters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamix_queue.admin.letters.entry import read_entry
from streamix_queue.admin.letters.reader import LetterReader
from streamix_queue.admin.retries import waiting_retries
from streamix_queue.admin.story.places import Telling, dead, delayed, in_inbox, of_fields, of_letter
from streamix_queue.admin.story.story import GroupStory, Sighting, Story, most_alive
from streamix_queue.broker.protocol import Entry
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.entry_ids import id_order, is_entry_id, looks_like_entry_id
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.wire import Fields, unframe

__all__ = ["Search"]

_PLAIN = re.compile(r"[A-Za-z0-9._:-]+\Z")
"""A message id that JSON always writes as it is."""
_COPIES = 10
_COMPARED = 300
_THE_STREAM = "the stream"
_MAX_MESSAGE_ID = 1000


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


class Search:
    """One search for one message. Owned by one thread.

    Args:
        operator: Not closed by this.
        stream: Name of the stream.
        asked: Id of an entry or of a message.
        scan: How much of each place is looked through.
    """

    def __init__(self, operator: RedisOperator, stream: str, asked: str, scan: int) -> None:
        self._operator = operator
        self._keys = Keys(stream, "")
        self._asked = asked
        self._scan = scan
        self._clues = _Clues()
        self._reached: dict[str, str] = {}
        """Group → the newest entry that was delivered to it."""

    def story(self) -> Story:
        """What is found. Raises `BrokerError`."""
        clues = self._clues
        for group in self._operator.groups.all(self._keys.stream):
            self._reached[as_text(group.name)] = as_text(group.last_delivered_id)
        if looks_like_entry_id(self._asked):
            self._resolve(self._asked)
        else:
            clues.message_id = self._asked
            self._search_stream()
        held = self._search_pending()
        for name in self._reached:
            self._search_delayed(name)
        for name in self._reached:
            self._search_inboxes(name)
        self._search_letters()
        if clues.entry_ids and not held:  # the places told which entry it was
            self._load_entry()
            self._search_pending()
        return self._told()

    # --- which message is meant -----------------------------------------------------------------

    def _resolve(self, entry_id: str) -> None:
        clues = self._clues
        clues.entry_ids.append(entry_id)
        self._load_entry()
        letters = LetterReader(self._operator.entries, self._keys.failed)
        letter = letters.one(entry_id) if is_entry_id(entry_id) else None
        if clues.on_stream:
            clues.also_letter = letter is not None and not clues.fit(letter.message_id, letter.source_id)
            return
        if letter is not None:
            clues.entry_ids[:] = [letter.source_id] if letter.source_id else []
            clues.learn(of_letter(letter))
            clues.saw(letter.group, dead(letter))
        else:
            self._resolve_inbox_entry(entry_id)
        self._load_entry()

    def _resolve_inbox_entry(self, entry_id: str) -> None:
        places = [(group, event) for group in self._reached for event in self._events(group)]
        inboxes = [self._keys_of(group).inbox(event) for group, event in places]
        found = self._operator.entries.at(inboxes, entry_id.encode()) if is_entry_id(entry_id) else []
        for (group, event), entry in zip(places, found, strict=False):
            if entry is not None:
                clues = self._clues
                message, history = of_fields(entry[1] or ())
                clues.entry_ids[:] = [history.source_id] if history.source_id else []
                clues.learn(message)
                self._saw_in_inbox(group, event, entry)
                return

    def _load_entry(self) -> None:
        """Read the entry that the clues name, which tells more than any other place."""
        clues = self._clues
        if not clues.entry_ids or clues.on_stream or not is_entry_id(clues.entry_ids[0]):
            return
        (entry,) = self._operator.entries.at([self._keys.stream], clues.entry_ids[0].encode())
        if entry is not None:
            clues.on_stream = True
            clues.message, _ = of_fields(entry[1] or ())
            clues.message_id = clues.message_id or clues.message.message_id

    # --- where it is ----------------------------------------------------------------------------

    def _search_stream(self) -> None:
        clues, compared = self._clues, list[str]()
        for entry in self._newest(self._keys.stream, self._scan, _THE_STREAM):
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

    def _search_pending(self) -> bool:
        """Ask each group whether it holds an entry of the message; False if none is known."""
        clues = self._clues
        ids = [each for each in clues.entry_ids if is_entry_id(each)]
        places = [(group, entry_id) for group in self._reached for entry_id in ids]
        rows = self._operator.groups.holders(
            [(self._keys.stream, group.encode(), each.encode()) for group, each in places]
        )
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

    def _search_delayed(self, group: str) -> None:
        clues, looked = self._clues, 0
        keys, retries = self._keys_of(group), self._operator.retries
        for retry in waiting_retries(retries, keys, None, self._scan):
            looked += 1
            if clues.fit(retry.message_id, retry.source_id):
                message, history = of_fields(unframe(retry.member)[1:])
                clues.learn(message, history.source_id)
                clues.saw(group, delayed(retry, history))
        if looked == self._scan and retries.count(keys) > self._scan:
            clues.unsearched.append(f"the delayed retries of group {group!r}")

    def _search_inboxes(self, group: str) -> None:
        clues, keys, left = self._clues, self._keys_of(group), self._scan
        known = clues.message.event if clues.message else None
        for event in [known] if known is not None else self._events(group):
            where = f"the inboxes of group {group!r}"
            if left <= 0:
                clues.unsearched.append(where)
                return
            for entry in self._newest(keys.inbox(event), left, where):
                left -= 1
                if _may_hold(entry[1] or (), [*clues.entry_ids, clues.message_id]):
                    self._saw_in_inbox(group, event, entry)
            if where in clues.unsearched:
                return

    def _saw_in_inbox(self, group: str, event: str, entry: Entry) -> None:
        clues, keys = self._clues, self._keys_of(group)
        message, history = of_fields(entry[1] or ())
        if clues.fit(message.message_id, history.source_id):
            clues.learn(message, history.source_id)
            (row,) = self._operator.groups.holders([(keys.inbox(event), keys.group, entry[0])])
            clues.saw(group, in_inbox(event, entry[0], row, message, history))

    def _search_letters(self) -> None:
        clues = self._clues
        for entry in self._newest(self._keys.failed, self._scan, "the dead letters"):
            fields = entry[1] or ()
            if not _may_hold(fields, [*clues.entry_ids, clues.message_id]):
                continue
            letter = read_entry(entry[0], fields)
            if clues.fit(letter.message_id, letter.source_id):
                clues.learn(of_letter(letter), letter.source_id)
                clues.saw(letter.group, dead(letter))

    def _newest(self, key: bytes, scan: int, where: str) -> Iterator[Entry]:
        """The newest entries; notes ``where`` if there are older ones."""
        last = yield from self._operator.entries.newest_of(key, scan)
        if last is not None and self._operator.entries.newest(key, 1, high=b"(" + last):
            self._clues.unsearched.append(where)

    # --- what that means ------------------------------------------------------------------------

    def _told(self) -> Story:
        clues, asked = self._clues, self._asked
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
        for name in sorted(self._reached.keys() | clues.sightings.keys()):
            sightings = most_alive(clues.sightings.get(name, []))
            state = sightings[0].state if sightings else self._state_without(entry_id, name)
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
        bound, entries = b"(" + entry_id, self._operator.entries
        around = [*entries.newest(key, 1, high=bound), *entries.oldest(key, 1, low=bound)]
        return [as_text(entry[0]) for entry in around]

    def _state_without(self, entry_id: str, group: str) -> str:
        """The state in a group that has the message nowhere."""
        clues = self._clues
        if not is_entry_id(entry_id):
            return "unknown"
        if id_order(entry_id) > id_order(self._reached[group]):
            return "undelivered" if clues.on_stream else "lost"
        elsewhere = [place for place in clues.unsearched if place != _THE_STREAM]
        return "settled" if elsewhere else "handled"

    def _events(self, group: str) -> list[str]:
        return self._operator.groups.events(self._keys_of(group))

    def _keys_of(self, group: str) -> Keys:
        return Keys(self._keys.stream_name, group)


def _may_hold(fields: Fields, ids: list[str]) -> bool:
    """False if none of the ids is in there: decoding every entry would take ten times as long."""
    needles = [each.encode() for each in ids if each]
    if not all(_PLAIN.match(each) for each in ids if each):
        return True
    return any(needle in value for value in fields for needle in needles)
