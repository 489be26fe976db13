"""For operators: look at the dead letters of a stream, and send them back where they failed.

The `streamix` command is a thin shell over this package.
"""

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
