"""Every key name, and that no two meanings share one."""

from __future__ import annotations

from dataclasses import fields
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.keys import Keys, dead_letter_key, hash_tagged

NO_KEYS = {"stream_name", "group_name", "group", "_inbox_prefix"}
NAMES = [field.name for field in fields(Keys) if field.name not in NO_KEYS]
OF_THE_STREAM = {b"s", b"s:failed", b"s:keeps", b"s:janitor"}


def slot_source(key: str) -> str:
    """The part of a key that Redis hashes: what is between the first { and the next }, if any."""
    start = key.find("{")
    end = key.find("}", start + 1) if start >= 0 else -1
    return key[start + 1 : end] if end > start + 1 else key


def test_the_keys_of_a_group_are_these() -> None:
    keys = Keys("app.events", "service-a")

    assert {name: getattr(keys, name) for name in NAMES} == {
        "stream": b"app.events",
        "failed": b"app.events:failed",
        "delayed": b"app.events:service-a:delayed",
        "handlers": b"app.events:service-a:handlers",
        "suspects": b"app.events:service-a:suspects",
        "nudge": b"app.events:service-a:nudge",
        "paused": b"app.events:service-a:paused",
        "keeps": b"app.events:keeps",
        "janitor": b"app.events:janitor",
        "upkeep": b"app.events:service-a:upkeep",
    }
    assert keys.group == b"service-a"
    assert keys.inbox("user.created") == b"app.events:service-a:inbox:user.created"


def test_the_dead_letter_stream_is_0_1_0s() -> None:
    assert dead_letter_key("app.events") == "app.events:failed"


def test_names_may_be_any_text() -> None:
    keys = Keys("\u00fc", "\U0001f600")

    assert keys.inbox("\u00e9") == "\u00fc:\U0001f600:inbox:\u00e9".encode()


def test_two_groups_of_a_stream_share_nothing_but_what_is_the_streams() -> None:
    one, other = Keys("s", "one"), Keys("s", "other")
    shared = {getattr(one, name) for name in NAMES} & {getattr(other, name) for name in NAMES}

    assert shared == OF_THE_STREAM
    assert one.inbox("e") != other.inbox("e")


@given(st.text(), st.text(), st.text(), st.text())
def test_an_inbox_belongs_to_one_event_and_is_no_other_key(
    stream: str, group: str, event: str, other: str
) -> None:
    keys = Keys(stream, group)

    assert (keys.inbox(event) == keys.inbox(other)) == (event == other)
    assert keys.inbox(event) not in {getattr(keys, name) for name in NAMES}
    assert keys.is_inbox(keys.inbox(event))
    assert not any(keys.is_inbox(getattr(keys, name)) for name in NAMES)
    assert len({getattr(keys, name) for name in NAMES}) == len(NAMES)


entry_ids = st.from_regex(rb"[0-9]{1,13}-[0-9]{1,3}", fullmatch=True)


@given(st.text(min_size=1), st.text(min_size=1), entry_ids, entry_ids)
def test_a_suspect_is_told_from_every_other(event: str, other: str, entry_id: bytes, other_id: bytes) -> None:
    keys = Keys("s", "g")
    places = [keys.stream, keys.inbox(event), keys.inbox(other)]
    entries = {(place, which) for place, which in product(places, (entry_id, other_id))}

    assert len({keys.suspect_field(place, which) for place, which in entries}) == len(entries)
    assert all(keys.suspect(keys.suspect_field(*entry)) == entry for entry in entries)


# --- hash tags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "tagged"),
    [
        ("app.events", "{app.events}"),
        ("{app}.events", "{app}.events"),
        ("app.{events}", "app.{events}"),
        ("app.{events", "{app.{events}"),
        ("app}.{events", "{app}.{events}"),
        ("{}.events", "{{}.events}"),
        ("{}{app}", "{{}{app}}"),
    ],
)
def test_a_stream_gets_a_hash_tag_if_it_has_none(stream: str, tagged: str) -> None:
    assert hash_tagged(stream) == tagged


@given(st.text(st.sampled_from("{}ab:"), min_size=1).filter(lambda name: not name.startswith("}")))
def test_all_keys_of_a_tagged_stream_share_a_slot(stream: str) -> None:
    tagged = hash_tagged(stream)
    keys = Keys(tagged, "group{x}")
    everything = [*(getattr(keys, name) for name in NAMES), keys.inbox("event{y}")]

    assert {slot_source(key.decode()) for key in everything} == {slot_source(tagged)}
    assert hash_tagged(tagged) == tagged
