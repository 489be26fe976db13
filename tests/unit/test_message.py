"""The message that ``publish()`` returns and that a handler with two parameters gets."""

from __future__ import annotations

import json

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
