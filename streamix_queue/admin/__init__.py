"""For operators: look at the dead letters of a stream, and send them back where they failed.

The `streamix` command is a thin shell over this package.
"""

from streamix_queue.admin.client import Admin
from streamix_queue.admin.dead_letters import DeadLetterEntry, DeadLetterFilter
from streamix_queue.admin.replays import Progress, Refused, Replayed, ReplayInterrupted, ReplayReport

__all__ = [
    "Admin",
    "DeadLetterEntry",
    "DeadLetterFilter",
    "Progress",
    "Refused",
    "ReplayInterrupted",
    "ReplayReport",
    "Replayed",
]
