"""Adding entries."""

from __future__ import annotations

import threading

import pytest

from streamix_queue.broker.protocol import PublisherBroker
from streamix_queue.core.errors import WrongKeyType
from tests.broker.backends import Backend


@pytest.fixture
def publisher(backend: Backend) -> PublisherBroker:
    return backend.publisher()


def envelope(message_id: str, data: str = "{}") -> list[bytes]:
    return [b"message", f'{{"id":"{message_id}","event":"e","data":{data}}}'.encode()]


def test_add_gives_the_id_of_the_new_entry(backend: Backend, publisher: PublisherBroker) -> None:
    entry_id = publisher.add(backend.keys.stream, [b"message", b"x", b"\xff", b""])

    assert backend.entries(backend.keys.stream) == [(entry_id, [b"message", b"x", b"\xff", b""])]


def test_ids_grow(backend: Backend, publisher: PublisherBroker) -> None:
    ids = [publisher.add(backend.keys.stream, [b"message", b"x"]) for _ in range(10)]

    assert [i for i, _ in backend.entries(backend.keys.stream)] == ids
    assert len(set(ids)) == 10


def test_add_to_a_key_of_another_type_says_so(backend: Backend, publisher: PublisherBroker) -> None:
    backend.make_wrong_type(backend.keys.stream)

    with pytest.raises(WrongKeyType):
        publisher.add(backend.keys.stream, [b"message", b"x"])
    with pytest.raises(WrongKeyType):
        publisher.add_unless_there(backend.keys.stream, b"1", [b"message", b"x"])


def test_add_many_keeps_the_order(backend: Backend, publisher: PublisherBroker) -> None:
    ids = publisher.add_many(backend.keys.stream, [[b"message", b"%d" % n] for n in range(300)])

    assert backend.entries(backend.keys.stream) == [(i, [b"message", b"%d" % n]) for n, i in enumerate(ids)]


def test_add_many_adds_large_entries(backend: Backend, publisher: PublisherBroker) -> None:
    publisher.add_many(backend.keys.stream, [[b"message", bytes([n]) * 500_000] for n in range(20)])

    assert [len(fields[1]) for _, fields in backend.entries(backend.keys.stream)] == [500_000] * 20


def test_add_many_of_nothing(backend: Backend, publisher: PublisherBroker) -> None:
    assert publisher.add_many(backend.keys.stream, []) == []


def test_add_many_has_an_answer_for_each(backend: Backend, publisher: PublisherBroker) -> None:
    backend.make_wrong_type(backend.keys.stream)

    answers = publisher.add_many(backend.keys.stream, [[b"message", b"x"]] * 3)

    assert [type(answer) for answer in answers] == [WrongKeyType] * 3


def test_add_unless_there_adds_what_is_new(backend: Backend, publisher: PublisherBroker) -> None:
    entry_id = publisher.add_unless_there(backend.keys.stream, b"m1", envelope("m1"))

    assert backend.entries(backend.keys.stream) == [(entry_id, envelope("m1"))]


def test_add_unless_there_finds_an_earlier_copy(backend: Backend, publisher: PublisherBroker) -> None:
    first = publisher.add(backend.keys.stream, [b"traceparent", b"00", *envelope("m1")])
    publisher.add_many(backend.keys.stream, [envelope(f"other{n}") for n in range(300)])

    assert publisher.add_unless_there(backend.keys.stream, b"m1", envelope("m1")) == first
    assert len(backend.entries(backend.keys.stream)) == 301


def test_add_unless_there_looks_at_the_message_alone(backend: Backend, publisher: PublisherBroker) -> None:
    publisher.add(backend.keys.stream, [b"baggage", b"m1", *envelope("m2")])

    publisher.add_unless_there(backend.keys.stream, b"m1", envelope("m1"))

    assert len(backend.entries(backend.keys.stream)) == 2


def test_add_unless_there_is_not_fooled_by_a_mention(backend: Backend, publisher: PublisherBroker) -> None:
    publisher.add(backend.keys.stream, envelope("m2", '{"caused_by":"m1"}'))

    publisher.add_unless_there(backend.keys.stream, b"m1", envelope("m1"))

    assert len(backend.entries(backend.keys.stream)) == 2


def test_add_unless_there_takes_the_id_for_no_pattern(backend: Backend, publisher: PublisherBroker) -> None:
    publisher.add(backend.keys.stream, envelope("a-1"))

    publisher.add_unless_there(backend.keys.stream, b".-1", envelope(".-1"))
    publisher.add_unless_there(backend.keys.stream, b"%a", envelope("%a"))

    assert len(backend.entries(backend.keys.stream)) == 3


def test_a_publisher_is_shared_by_threads(backend: Backend, publisher: PublisherBroker) -> None:
    start = threading.Barrier(8)
    ids: list[bytes] = []

    def add(number: int) -> None:
        start.wait(10)
        for n in range(25):
            name = f"{number}.{n}"
            ids.append(publisher.add_unless_there(backend.keys.stream, name.encode(), envelope(name)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(ids) == sorted(i for i, _ in backend.entries(backend.keys.stream))
    assert len(set(ids)) == 200


def test_a_closed_publisher_opens_again(backend: Backend, publisher: PublisherBroker) -> None:
    publisher.add(backend.keys.stream, [b"message", b"x"])
    publisher.close()

    publisher.add(backend.keys.stream, [b"message", b"x"])

    assert len(backend.entries(backend.keys.stream)) == 2
