"""The runtime: actors on threads. It knows nothing of Redis or events."""

from .actor import Actor
from .credits import Credits
from .mailbox import Closed, Mailbox
from .supervisor import (
    ChildCrashed,
    ChildOverran,
    ChildRestarted,
    ChildSpec,
    ChildStalled,
    ChildStarted,
    Supervisor,
)

__all__ = [
    "Actor",
    "ChildCrashed",
    "ChildOverran",
    "ChildRestarted",
    "ChildSpec",
    "ChildStalled",
    "ChildStarted",
    "Closed",
    "Credits",
    "Mailbox",
    "Supervisor",
]
