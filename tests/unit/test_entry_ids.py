"""Ids of entries: which text is one, and in which order they are."""

from __future__ import annotations

import pytest

from streamix_queue.core.entry_ids import added_at_s, id_order, is_entry_id, looks_like_entry_id


def test_ids_are_ordered_by_their_numbers_and_not_as_text() -> None:
    ids = ["9-0", "10-0", "10-2", "10-11", "1713982500001-0"]

    assert sorted(set(ids), key=id_order) == ids
    assert [id_order(each) for each in ids] == [id_order(each.encode()) for each in ids]


def test_an_id_without_a_number_is_the_first_of_its_millisecond() -> None:
    assert id_order("5") == id_order("5-0") < id_order("5-1")


@pytest.mark.parametrize("text", ["", "x", "-", "1-x"])
def test_what_is_no_id_has_no_order(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        id_order(text)


def test_an_id_fits_into_64_bits() -> None:
    assert is_entry_id("18446744073709551615-18446744073709551615")
    assert not is_entry_id("18446744073709551616-0")
    assert looks_like_entry_id("18446744073709551616-0")
    assert not looks_like_entry_id("1-0\n")


def test_an_id_tells_when_its_entry_was_added() -> None:
    assert added_at_s(b"1500-3") == 1.5
    assert added_at_s(None) is None
