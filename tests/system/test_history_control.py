"""Negative control: the checker of the chaos test objects to 0.1.0, for what 0.1.0 does wrong.

Same words, same rules (`tests.support.history`), other library: a checker that were content with
this release would prove nothing about ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.fact_log import Record
from tests.support.history import Expected, Published, Report, check, read_letters
from tests.support.members import eventually, pending
from tests.support.old_release import OldConsumer, OldRelease
from tests.support.servers import Server

GROUP = "g"
old = OldRelease()


def history(consumers: Iterable[OldConsumer]) -> list[Record]:
    """The calls of its handlers, as records: a call that did not kill or fail has ended well."""
    records: list[Record] = []
    for boot, consumer in enumerate(consumers):
        for call in consumer.calls:
            about = {"message_id": call["id"], "group": GROUP, "boot": str(boot), "monotonic": 0.0}
            records.append({"kind": "started", **about})
            if not call["data"].get("die") and call["retries"] >= call["data"].get("failures", 0):
                records.append({"kind": "finished", **about})
    return records


def judge(server: Server, stream: str, sent: list[dict[str, Any]], *consumers: OldConsumer) -> Report:
    with server.client() as client:
        letters = read_letters(client, stream)
    published = Published(ok={message["id"] for message in sent})
    expected = Expected(published=len(sent), max_starts=2)
    report = check(published, history(consumers), letters, expected, groups=[GROUP])
    print(report)
    return report


def make_group(server: Server, stream: str) -> None:
    with server.client() as client:
        client.xgroup_create(stream, GROUP, "0", mkstream=True)


def test_it_is_content_with_0_1_0_while_nothing_goes_wrong(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """So that what it objects to below is the fault and not the harness."""
    make_group(any_server, stream)
    with old.consumer(any_server.url, stream, tmp_path) as consumer:
        sent = old.publish(any_server.url, stream, *[("thing", {})] * 50)
        eventually(lambda: len(consumer.calls) == 50, 30)
    assert judge(any_server, stream, sent, consumer).ok


def test_it_finds_what_0_1_0_loses_that_was_published_before_its_first_consumer(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    early = old.publish(any_server.url, stream, *[("thing", {})] * 20)
    with old.consumer(any_server.url, stream, tmp_path) as consumer, any_server.client() as client:
        eventually(lambda: client.xinfo_groups(stream))
        late = old.publish(any_server.url, stream, *[("thing", {})] * 20)
        eventually(lambda: len(consumer.calls) == 20, 30)
    report = judge(any_server, stream, early + late, consumer)
    assert report.groups[GROUP].lost == {message["id"] for message in early}
    assert not report.ok


def test_it_finds_that_0_1_0_runs_a_handler_twice_that_is_slower_than_its_lease(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    make_group(any_server, stream)
    options: dict[str, Any] = {"claim_idle_ms": 200, "block_ms": 50}
    with (
        old.consumer(any_server.url, stream, tmp_path, **options) as one,
        old.consumer(any_server.url, stream, tmp_path, **options) as other,
    ):
        sent = old.publish(any_server.url, stream, ("thing", {"seconds": 1.5}))
        eventually(lambda: len(one.calls) + len(other.calls) >= 2, 30)
    report = judge(any_server, stream, sent, one, other)
    assert report.groups[GROUP].duplicated >= 1
    assert not report.ok


def test_it_finds_that_a_message_that_kills_ends_nowhere_under_0_1_0(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    make_group(any_server, stream)
    sent = old.publish(any_server.url, stream, ("thing", {"die": True}), ("thing", {}))
    lives = []
    for _ in range(6):
        with old.consumer(any_server.url, stream, tmp_path, claim_idle_ms=1, block_ms=1) as life:
            assert life.wait() == -9
            lives.append(life)
    report = judge(any_server, stream, sent, *lives)
    with any_server.client() as client:
        assert pending(client, stream, GROUP) > 0
    assert sent[0]["id"] in report.groups[GROUP].lost
    assert report.groups[GROUP].max_starts == 6
    assert not report.ok
