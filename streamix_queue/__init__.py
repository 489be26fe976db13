"""Service-to-service events on Redis Streams: not lost, retried, and never in the way.

``publish()`` and ``consume()`` are all that most services need; `Publisher` and `Consumer` are
what they are made of.
"""

from streamix_queue.api import consume, publish
from streamix_queue.consumer import Consumer
from streamix_queue.core.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    ClusterKeyError,
    ConfigError,
    DrainTimeout,
    GroupMissing,
    InvalidMessage,
    InvalidMessageType,
    MessageTooLarge,
    NotEnoughReplicas,
    OutOfMemory,
    PublishUnknown,
    Reject,
    Retry,
    StreamixError,
    WrongKeyType,
)
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.publisher import Publisher
from streamix_queue.runtime import RestartsExceeded

__all__ = [
    "BrokerError",
    "BrokerRefused",
    "BrokerUnavailable",
    "ClusterKeyError",
    "ConfigError",
    "Consumer",
    "DrainTimeout",
    "GroupMissing",
    "InvalidMessage",
    "InvalidMessageType",
    "MessageTooLarge",
    "NotEnoughReplicas",
    "OutOfMemory",
    "PublishUnknown",
    "Publisher",
    "Reject",
    "RestartsExceeded",
    "Retry",
    "StreamMessage",
    "StreamixError",
    "Timestamps",
    "WrongKeyType",
    "consume",
    "publish",
]
