"""The message that ``publish()`` returns and that a handler with two parameters gets."""

from __future__ import annotations

import json

from streamix_queue.core.delivery import Delivery
from streamix_queue.core.message import StreamMessage, Timestamps
from tests.support.json_values import CREATED, LATER, MESSAGE_ID, envelope_of_0_1_0

MESSAGE = StreamMessage(MESSAGE_ID, "user.created", {"user_id": "123"}, 2, Timestamps(CREATED, LATER))


def test_a_message_has_the_attributes_that_0_1_0_documents() -> None:
    assert (MESSAGE.id, MESSAGE.event, MESSAGE.retries) == (MESSAGE_ID, "user.created", 2)
    assert MESSAGE.data == {"user_id": "123"}
    assert (MESSAGE.timestamps.created_at, MESSAGE.timestamps.updated_at) == (CREATED, LATER)


def test_a_message_can_be_made_by_keyword_as_in_0_1_0() -> None:
    made = StreamMessage(
        id=MESSAGE_ID,
        event="user.created",
        data={"user_id": "123"},
        retries=2,
        timestamps=Timestamps(created_at=CREATED, updated_at=LATER),
    )

    assert made == MESSAGE


def test_as_a_dictionary_it_has_the_keys_of_the_wire_in_their_order() -> None:
    assert json.dumps(MESSAGE.to_dict(), separators=(",", ":")).encode() == envelope_of_0_1_0(MESSAGE)


def delivery() -> Delivery:
    return Delivery(b"s", b"1-0", [], 0.0, 0.0)


def test_a_delivery_that_was_not_decoded_has_no_event_and_is_a_first_attempt() -> None:
    held = delivery()

    assert (held.event, held.attempt, held.deliveries) == ("", 1, 1)
    assert repr(held) == "<Delivery '' 1-0 attempt=1>"


def test_the_attempt_is_one_more_than_the_retries() -> None:
    held = delivery()
    held.message = MESSAGE

    assert (held.event, held.attempt) == ("user.created", 3)


def test_the_payload_is_not_in_the_text_of_a_delivery() -> None:
    held = delivery()
    held.message = StreamMessage("1", "e", {"password": "s3cret"}, 0, Timestamps("", ""))

    assert "s3cret" not in repr(held)
