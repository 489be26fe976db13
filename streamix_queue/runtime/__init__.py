"""The runtime: actors on threads. It knows nothing of Redis or events."""

from .actor import Actor
from .credits import Credits
from .mailbox import Closed, Mailbox
from .supervisor import (
    ChildCrashed,
    ChildRestarted,
    ChildSpec,
    ChildStalled,
    ChildStarted,
    ChildStuck,
    RestartsExceeded,
    Supervisor,
)

__all__ = [
    "Actor",
    "ChildCrashed",
    "ChildRestarted",
    "ChildSpec",
    "ChildStalled",
    "ChildStarted",
    "ChildStuck",
    "Closed",
    "Credits",
    "Mailbox",
    "RestartsExceeded",
    "Supervisor",
]
