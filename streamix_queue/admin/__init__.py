"""For operators: what is on a stream, what became of it, and what can be done about it.

`Admin` works on dead letters, `Control` on retries, pauses and retention; `Inspector` looks at groups and
entries, `Storyteller` at one message, and `examine` for faults. Each has one connection, opened by its first
question. The `streamix` command is a thin shell over this package.
"""

from typing import TYPE_CHECKING

from streamix_queue._lazy import lazily

if TYPE_CHECKING:
    from streamix_queue.admin.admin import Admin
    from streamix_queue.admin.control import Cancelled, Control, Delayed, Pin, TrimReport
    from streamix_queue.admin.doctor import Finding, examine
    from streamix_queue.admin.groups.lag import GroupLag, InboxLag
    from streamix_queue.admin.groups.members import Member
    from streamix_queue.admin.groups.pending import PendingEntry, PendingPage
    from streamix_queue.admin.groups.progress import GroupProgress, GroupSight, StreamSight
    from streamix_queue.admin.groups.rates import GroupRates, StreamRates, rates_between
    from streamix_queue.admin.inspector import Inspector
    from streamix_queue.admin.letters.entry import DeadLetterEntry
    from streamix_queue.admin.letters.export import fields_of
    from streamix_queue.admin.letters.filter import DeadLetterFilter
    from streamix_queue.admin.letters.fingerprints import Fingerprint, Fingerprints
    from streamix_queue.admin.letters.purge import PurgeReport
    from streamix_queue.admin.letters.replay_report import (
        Progress,
        Refused,
        Replayed,
        ReplayInterrupted,
        ReplayReport,
    )
    from streamix_queue.admin.story.story import GroupStory, Sighting, Story
    from streamix_queue.admin.storyteller import Storyteller
    from streamix_queue.admin.stream_entry import StreamEntry

__all__ = [
    "Admin",
    "Cancelled",
    "Control",
    "DeadLetterEntry",
    "DeadLetterFilter",
    "Delayed",
    "Finding",
    "Fingerprint",
    "Fingerprints",
    "GroupLag",
    "GroupProgress",
    "GroupRates",
    "GroupSight",
    "GroupStory",
    "InboxLag",
    "Inspector",
    "Member",
    "PendingEntry",
    "PendingPage",
    "Pin",
    "Progress",
    "PurgeReport",
    "Refused",
    "ReplayInterrupted",
    "ReplayReport",
    "Replayed",
    "Sighting",
    "Story",
    "Storyteller",
    "StreamEntry",
    "StreamRates",
    "StreamSight",
    "TrimReport",
    "examine",
    "fields_of",
    "rates_between",
]

if not TYPE_CHECKING:  # a type checker takes every name for defined where there is a __getattr__
    _HOMES = {
        "Admin": "streamix_queue.admin.admin",
        "Cancelled": "streamix_queue.admin.control",
        "Control": "streamix_queue.admin.control",
        "DeadLetterEntry": "streamix_queue.admin.letters.entry",
        "DeadLetterFilter": "streamix_queue.admin.letters.filter",
        "Delayed": "streamix_queue.admin.control",
        "Finding": "streamix_queue.admin.doctor",
        "Fingerprint": "streamix_queue.admin.letters.fingerprints",
        "Fingerprints": "streamix_queue.admin.letters.fingerprints",
        "GroupLag": "streamix_queue.admin.groups.lag",
        "GroupProgress": "streamix_queue.admin.groups.progress",
        "GroupRates": "streamix_queue.admin.groups.rates",
        "GroupSight": "streamix_queue.admin.groups.progress",
        "GroupStory": "streamix_queue.admin.story.story",
        "InboxLag": "streamix_queue.admin.groups.lag",
        "Inspector": "streamix_queue.admin.inspector",
        "Member": "streamix_queue.admin.groups.members",
        "PendingEntry": "streamix_queue.admin.groups.pending",
        "PendingPage": "streamix_queue.admin.groups.pending",
        "Pin": "streamix_queue.admin.control",
        "Progress": "streamix_queue.admin.letters.replay_report",
        "PurgeReport": "streamix_queue.admin.letters.purge",
        "Refused": "streamix_queue.admin.letters.replay_report",
        "ReplayInterrupted": "streamix_queue.admin.letters.replay_report",
        "ReplayReport": "streamix_queue.admin.letters.replay_report",
        "Replayed": "streamix_queue.admin.letters.replay_report",
        "Sighting": "streamix_queue.admin.story.story",
        "Story": "streamix_queue.admin.story.story",
        "Storyteller": "streamix_queue.admin.storyteller",
        "StreamEntry": "streamix_queue.admin.stream_entry",
        "StreamRates": "streamix_queue.admin.groups.rates",
        "StreamSight": "streamix_queue.admin.groups.progress",
        "TrimReport": "streamix_queue.admin.control",
        "examine": "streamix_queue.admin.doctor",
        "fields_of": "streamix_queue.admin.letters.export",
        "rates_between": "streamix_queue.admin.groups.rates",
    }
    # A verb that only looks need not load what replays, purges and examines.
    __getattr__, __dir__ = lazily(__name__, _HOMES)
