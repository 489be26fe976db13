"""Service-to-service events on Redis Streams: not lost, retried, and never in the way.

``publish()`` and ``consume()`` are all that most services need; `Publisher` and `Consumer` are
what they are made of.
"""

from typing import TYPE_CHECKING

from streamix_queue._lazy import lazily

if TYPE_CHECKING:
    from streamix_queue.api import publish
    from streamix_queue.consumer import Consumer, consume, run
    from streamix_queue.core.errors import (
        BacklogFull,
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
        RestartsExceeded,
        Retry,
        StreamixError,
        WrongKeyType,
    )
    from streamix_queue.core.message import ShedMessage, StreamMessage, Timestamps
    from streamix_queue.publishing.publisher import Publisher

__all__ = [
    "BacklogFull",
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
    "ShedMessage",
    "StreamMessage",
    "StreamixError",
    "Timestamps",
    "WrongKeyType",
    "consume",
    "publish",
    "run",
]

if not TYPE_CHECKING:  # a type checker shall go on to complain of names that there are not
    _HOMES = {
        **dict.fromkeys(__all__, "streamix_queue.core.errors"),
        "Consumer": "streamix_queue.consumer",
        "Publisher": "streamix_queue.publishing.publisher",
        "ShedMessage": "streamix_queue.core.message",
        "StreamMessage": "streamix_queue.core.message",
        "Timestamps": "streamix_queue.core.message",
        "consume": "streamix_queue.consumer",
        "publish": "streamix_queue.api",
        "run": "streamix_queue.consumer",
    }
    # `streamix --help` has to be there before redis-py and structlog are loaded, which takes three
    # times as long as all the rest.
    __getattr__, __dir__ = lazily(__name__, _HOMES)
