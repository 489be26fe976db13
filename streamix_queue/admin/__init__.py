"""For operators: look at the dead letters of a stream, and send them back where they failed.

The `streamix` command is a thin shell over this package.
"""

from typing import TYPE_CHECKING

from streamix_queue._lazy import lazily

if TYPE_CHECKING:
    from streamix_queue.admin.client import Admin
    from streamix_queue.admin.control import Cancelled, Control, Delayed, Pin, TrimReport
    from streamix_queue.admin.dead_letters import DeadLetterEntry, DeadLetterFilter
    from streamix_queue.admin.doctor import Finding, examine
    from streamix_queue.admin.exports import fields_of
    from streamix_queue.admin.fingerprints import Fingerprint, Fingerprints
    from streamix_queue.admin.inspector import Inspector
    from streamix_queue.admin.purges import PurgeReport
    from streamix_queue.admin.rates import GroupRates, StreamRates, rates_between
    from streamix_queue.admin.replays import Progress, Refused, Replayed, ReplayInterrupted, ReplayReport
    from streamix_queue.admin.sights import (
        GroupLag,
        GroupProgress,
        GroupSight,
        InboxLag,
        Member,
        PendingEntry,
        PendingPage,
        StreamSight,
    )
    from streamix_queue.admin.stories import GroupStory, Sighting, Story
    from streamix_queue.admin.storyteller import Storyteller
    from streamix_queue.admin.stream_entries import StreamEntry

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

if not TYPE_CHECKING:  # a type checker shall go on to complain of names that there are not
    _HOMES = {
        "Admin": "streamix_queue.admin.client",
        "Cancelled": "streamix_queue.admin.control",
        "Control": "streamix_queue.admin.control",
        "DeadLetterEntry": "streamix_queue.admin.dead_letters",
        "DeadLetterFilter": "streamix_queue.admin.dead_letters",
        "Delayed": "streamix_queue.admin.control",
        "Finding": "streamix_queue.admin.doctor",
        "Fingerprint": "streamix_queue.admin.fingerprints",
        "Fingerprints": "streamix_queue.admin.fingerprints",
        "GroupLag": "streamix_queue.admin.sights",
        "GroupProgress": "streamix_queue.admin.sights",
        "GroupRates": "streamix_queue.admin.rates",
        "GroupSight": "streamix_queue.admin.sights",
        "GroupStory": "streamix_queue.admin.stories",
        "InboxLag": "streamix_queue.admin.sights",
        "Inspector": "streamix_queue.admin.inspector",
        "Member": "streamix_queue.admin.sights",
        "PendingEntry": "streamix_queue.admin.sights",
        "PendingPage": "streamix_queue.admin.sights",
        "Pin": "streamix_queue.admin.control",
        "Progress": "streamix_queue.admin.replays",
        "PurgeReport": "streamix_queue.admin.purges",
        "Refused": "streamix_queue.admin.replays",
        "ReplayInterrupted": "streamix_queue.admin.replays",
        "ReplayReport": "streamix_queue.admin.replays",
        "Replayed": "streamix_queue.admin.replays",
        "Sighting": "streamix_queue.admin.stories",
        "Story": "streamix_queue.admin.stories",
        "Storyteller": "streamix_queue.admin.storyteller",
        "StreamEntry": "streamix_queue.admin.stream_entries",
        "StreamRates": "streamix_queue.admin.rates",
        "StreamSight": "streamix_queue.admin.sights",
        "TrimReport": "streamix_queue.admin.control",
        "examine": "streamix_queue.admin.doctor",
        "fields_of": "streamix_queue.admin.exports",
        "rates_between": "streamix_queue.admin.rates",
    }
    # A verb that only looks need not load what replays, purges and examines.
    __getattr__, __dir__ = lazily(__name__, _HOMES)
