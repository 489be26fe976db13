"""The history checker: was every published message handled or dead-lettered, and nothing else?

It believes what handlers wrote down (`tests.support.fact_log`), what publishers were told, and
what is in the dead-letter stream; it asks the library nothing. Its words are Jepsen's:

attempts      publishes that were tried
published     those that were acknowledged
indeterminate those whose outcome is unknown: they may be in or out
recovered     indeterminate ones that turned out to be in
ok            messages handled to success at least once
dead          messages in the dead-letter stream
lost          published, and in neither set
unexpected    in one of the sets, and never published
duplicated    successes beyond a message's first
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamix_queue.core.dead_letter import read_letter
from tests.support.fact_log import Record

if TYPE_CHECKING:
    import redis

__all__ = ["Expected", "GroupReport", "Letter", "Published", "Report", "check", "read_letters"]

_SHOWN = 5


@dataclass
class Published:
    """What publishers were told."""

    ok: set[str] = field(default_factory=set)
    indeterminate: set[str] = field(default_factory=set)
    refused: int = 0
    """Publishes that surely wrote nothing."""

    @property
    def attempts(self) -> int:
        return len(self.ok) + len(self.indeterminate) + self.refused


@dataclass(frozen=True)
class Letter:
    """One entry of a dead-letter stream."""

    message_id: str
    group: str
    reason: str


@dataclass(frozen=True)
class Expected:
    """What a run was meant to do, and what it may have done at most.

    Attributes:
        published: So many publishes at least must have been acknowledged.
        faults: So often at least the nemesis must have struck.
        max_starts: How often a handler may begin with one message, in one group.
        max_duplicates: Successes beyond the first, over all messages of a group. None leaves it
            to ``deaths``.
        doomed: Message → reasons for which it may be dead-lettered; all others may not be.
        deaths: Boots whose process was killed. A success in one of them that was not seen to be
            settled may happen once more; with this given, no other duplicate is accepted.
        excused: Process ids whose successes may be repeated though they were settled: they were
            frozen past their lease.
        overlaps: Whether a message may run twice at once.
    """

    published: int
    faults: int = 0
    max_starts: int = 1
    max_duplicates: int | None = 0
    doomed: Mapping[str, Collection[str]] = field(default_factory=dict)
    deaths: Collection[str] | None = None
    excused: Collection[int] = ()
    overlaps: bool = True


@dataclass
class GroupReport:
    """What became of the messages in one group."""

    ok: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    unexpected: set[str] = field(default_factory=set)
    recovered: set[str] = field(default_factory=set)
    starts: int = 0
    max_starts: int = 0
    duplicated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        sets = {name: len(getattr(self, name)) for name in ("ok", "dead", "lost", "unexpected", "recovered")}
        counts = {"duplicated": self.duplicated, "starts": self.starts, "max_starts": self.max_starts}
        return " ".join(f"{name}={count}" for name, count in {**sets, **counts}.items())


@dataclass
class Report:
    """The verdict: ``ok``, or what was violated, a sentence each."""

    attempts: int
    published: int
    indeterminate: int
    faults: int
    groups: dict[str, GroupReport] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.violations

    def __str__(self) -> str:
        head = (
            f"attempts={self.attempts} published={self.published} "
            f"indeterminate={self.indeterminate} faults={self.faults}"
        )
        lines = [head, *(f"{name}: {group}" for name, group in self.groups.items())]
        lines.append("no violation" if self.ok else f"{len(self.violations)} violations:")
        return "\n".join([*lines, *self.violations])


def check(
    published: Published,
    records: Sequence[Record],
    letters: Sequence[Letter],
    expected: Expected,
    *,
    groups: Iterable[str],
    faults: int = 0,
) -> Report:
    """Judge a run that has come to rest.

    Args:
        published: What publishers were told.
        records: The fact log: ``started``, ``finished``, ``failed`` and ``settled`` count.
        letters: The dead-letter stream.
        expected: What was meant to happen.
        groups: The groups that each had to get every message.
        faults: How often the nemesis struck.
    """
    report = Report(published.attempts, len(published.ok), len(published.indeterminate), faults)
    if report.published < expected.published:
        report.violations.append(f"only {report.published} of {expected.published} messages were published")
    if faults < expected.faults:
        report.violations.append(f"the nemesis struck {faults} times, and was to strike {expected.faults}")
    names = list(groups)
    strangers = {r.get("group") for r in records} | {letter.group for letter in letters}
    if strangers := strangers - {*names, None}:
        report.violations.append(f"nobody asked for the groups {sorted(map(str, strangers))}")
    for name in names:
        judge = _Judge(
            name,
            [r for r in records if r.get("group") == name],
            [letter for letter in letters if letter.group == name],
        )
        report.groups[name] = judge.report
        report.violations += judge.violations(published, expected)
    return report


class _Judge:
    """One group's share of the history."""

    def __init__(self, name: str, records: Sequence[Record], letters: Sequence[Letter]) -> None:
        self._name = name
        self._records = records
        self._letters = letters
        self._starts = Counter(r["message_id"] for r in records if r["kind"] == "started")
        self._successes: dict[str, list[str]] = defaultdict(list)  # message → boot of each
        for record in records:
            if record["kind"] == "finished":
                self._successes[record["message_id"]].append(record["boot"])
        self._buried = Counter(letter.message_id for letter in letters)
        report = self.report = GroupReport(ok=set(self._successes), dead=set(self._buried))
        report.starts = self._starts.total()
        report.max_starts = max(self._starts.values(), default=0)
        report.duplicated = sum(len(boots) - 1 for boots in self._successes.values())
        report.reasons = Counter(letter.reason for letter in letters)

    def violations(self, published: Published, expected: Expected) -> list[str]:
        report, both = self.report, self.report.ok & self.report.dead
        ended = report.ok | report.dead
        report.lost = published.ok - ended
        report.unexpected = ended - published.ok - published.indeterminate
        report.recovered = ended & published.indeterminate
        phantom = {m for m, boots in self._successes.items() if self._starts[m] < len(boots)}
        return [
            *self._about("was published, and neither handled nor dead-lettered", report.lost),
            *self._about("was never published", report.unexpected),
            *self._about("was handled and dead-lettered as well", both),
            *self._about("ended more often than it began", phantom),
            *self._too_often(
                f"times begun, more than {expected.max_starts}", self._starts, expected.max_starts
            ),
            *self._too_often("times dead-lettered", self._buried, 1),
            *self._wrong_letters(expected.doomed),
            *self._duplicates(expected),
            *([] if expected.overlaps else self._overlaps(expected.deaths or ())),
        ]

    def _wrong_letters(self, doomed: Mapping[str, Collection[str]]) -> list[str]:
        wrong = [x for x in self._letters if x.reason not in doomed.get(x.message_id, ())]
        return [
            sentence
            for reason in sorted({letter.reason for letter in wrong})
            for sentence in self._about(
                f"was dead-lettered with the reason {reason!r}, and was not meant to be",
                {letter.message_id for letter in wrong if letter.reason == reason},
            )
        ]

    def _duplicates(self, expected: Expected) -> list[str]:
        sentences = []
        limit = expected.max_duplicates
        if limit is not None and self.report.duplicated > limit:
            sentences.append(f"{self._name}: {self.report.duplicated} successes too many, more than {limit}")
        if expected.deaths is not None:
            unexplained = self._unexplained(expected.deaths, expected.excused)
            sentences += self._about("was handled twice, though no death explains it", unexplained)
        return sentences

    def _unexplained(self, deaths: Collection[str], excused: Collection[int]) -> set[str]:
        """Messages with more successes beyond one than died with their process, not settled."""
        acked = Counter(
            (r["boot"], r["message_id"])
            for r in self._records
            if r["kind"] == "settled" and r["outcome"] == "ack"
        )
        frozen = {r["boot"] for r in self._records if r["pid"] in excused} if excused else set()
        unexplained = set()
        for message_id, boots in self._successes.items():
            died = 0
            for boot, successes in Counter(boots).items():
                if boot in frozen:
                    died += successes
                elif boot in deaths:
                    died += max(0, successes - acked[boot, message_id])
            if len(boots) - 1 > died:
                unexplained.add(message_id)
        return unexplained

    def _overlaps(self, deaths: Collection[str]) -> list[str]:
        """Messages that began in one place before they had ended in another.

        What a killed process was at has no end in the log, and is no overlap.
        """
        running: dict[str, set[str]] = defaultdict(set)  # message → boots that are at it
        twice = set()
        for record in sorted(self._records, key=lambda r: float(r["monotonic"])):
            at_it = running[record.get("message_id", "")]
            if record["kind"] == "started":
                if at_it - set(deaths) or record["boot"] in at_it:
                    twice.add(record["message_id"])
                at_it.add(record["boot"])
            elif record["kind"] in ("finished", "failed"):
                at_it.discard(record["boot"])
        return self._about("ran twice at once", twice)

    def _too_often(self, what: str, counts: Counter[str], limit: int) -> list[str]:
        over = [(message_id, count) for message_id, count in counts.most_common() if count > limit]
        shown = [f"{self._name}: message {message_id} was {count} {what}" for message_id, count in over]
        return shown[:_SHOWN] + self._and_more(over)

    def _about(self, what: str, ids: Collection[str]) -> list[str]:
        shown = [f"{self._name}: message {message_id} {what}" for message_id in sorted(ids)[:_SHOWN]]
        return shown + self._and_more(ids)

    def _and_more(self, ids: Collection[object]) -> list[str]:
        return [f"{self._name}: … and {len(ids) - _SHOWN} more"] if len(ids) > _SHOWN else []


def read_letters(client: redis.Redis, stream: str) -> list[Letter]:
    """Every entry of the dead-letter stream of ``stream``."""
    entries: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(f"{stream}:failed")  # type: ignore[assignment]
    letters = []
    for _, fields in entries:
        data = read_letter([part for pair in fields.items() for part in pair]).data
        letters.append(Letter(data.original_id, data.group, data.reason))
    return letters
