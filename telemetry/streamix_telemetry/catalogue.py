"""Every metric that is exported, declared once: name, kind, labels, meaning, and what begins at 0.

What counts does so through these objects, so that a metric that does not exist, or a label that it
does not have, is an error there. Documents, rules and dashboards are checked against them. Times
are seconds, sizes bytes. ``error_type=""`` means that there was no error.

To add one for a fact that exists: declare it here, count it in `metrics` with a test, give it a panel in
``grafana/generator/``, and let ``make dashboards`` write the dashboards and the table in the README.
"""

from __future__ import annotations

from typing import Final

from streamix_queue.core.outcome import Reason
from streamix_telemetry.metric_kinds import Counter, Gauge, Histogram, Info, Merge, Metric, Owner

__all__ = ["BY_NAME", "CATALOGUE", "FINAL_OUTCOMES", "OTHER", "OUTCOMES", "SOURCES"]  # and each metric

OTHER: Final = "_OTHER"
"""The value of a label whose true value is not one of a bounded set."""

OUTCOMES: Final = ("ack", "retry", "dead_letter", "drop", "requeue")
"""How deliveries end: values of the label ``outcome``."""

FINAL_OUTCOMES: Final = ("ack", "dead_letter", "drop")
"""Those after which the message does not come back to its group by itself."""

SOURCES: Final = {"new": "new", "inbox": "inbox", "reclaim": "reclaim", "recovered": "pending"}
"""``Entry.source`` → value of the label ``source``."""

_BROKER_ERRORS: Final = (
    "BrokerRefused",
    "BrokerUnavailable",
    "GroupMissing",
    "NotEnoughReplicas",
    "OutOfMemory",
    "WrongKeyType",
)

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SEMCONV = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_HANDLER = (*_SEMCONV, 30.0, 60.0, 300.0)
_QUEUE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_BATCH = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
_ATTEMPTS = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0)
_SIZE = tuple(float(64 * 4**step) for step in range(10))  # 64 B to 16 MiB

_stream = ("stream",)
_group = ("stream", "group")


def _counter(
    name: str, labels: tuple[str, ...], text: str, owner: Owner, values: tuple[str, ...] = ()
) -> Counter:
    return Counter(f"streamix_{name}_total", labels, text, owner=owner, values=values)


def _histogram(
    name: str,
    labels: tuple[str, ...],
    buckets: tuple[float, ...],
    text: str,
    owner: Owner | None = None,
    values: tuple[str, ...] = (),
) -> Histogram:
    return Histogram(f"streamix_{name}", labels, text, owner=owner, values=values, buckets=buckets)


def _gauge(name: str, labels: tuple[str, ...], text: str, merge: Merge = "sum") -> Gauge:
    return Gauge(f"streamix_{name}", labels, text, merge=merge)


def _backlog(name: str, labels: tuple[str, ...], text: str, *, optional: bool = False) -> Gauge:
    return Gauge(f"streamix_{name}", labels, text, backlog=True, optional=optional)


# --- publisher

PUBLISHED_MESSAGES = _counter(
    "published_messages",
    ("stream", "error_type"),
    "Messages that publish() was asked to write.",
    "publisher",
    ("", *_BROKER_ERRORS, "PublishUnknown"),
)
PUBLISH_DURATION_SECONDS = _histogram(
    "publish_duration_seconds",
    ("stream", "error_type"),
    _FAST,
    "How long a publish call took.",
    "publisher",
    ("",),
)
PUBLISH_BATCH_MESSAGES = _histogram(
    "publish_batch_messages", _stream, _BATCH, "Messages for each publish call.", "publisher"
)
MESSAGE_SIZE_BYTES = _histogram(
    "message_size_bytes", _stream, _SIZE, "Encoded size of a published message.", "publisher"
)
PUBLISH_SHED_MESSAGES = _counter(
    "publish_shed_messages",
    _stream,
    "Messages not written, by choice, for the backlog was full.",
    "publisher",
)
PUBLISH_HELD_BACK_SECONDS = _counter(
    "publish_held_back_seconds",
    _stream,
    "Time that publishing was held back because the backlog was full; counted when it goes on.",
    "publisher",
)

# --- delivery

RECEIVED_MESSAGES = _counter(
    "received_messages",
    (*_group, "source"),
    "Deliveries into this process: new, inbox (a retry, replay or hand-over), reclaim (another "
    "member left it behind) or pending (the reply that held it had been lost).",
    "consumer",
    tuple(SOURCES.values()),
)
RECEIVE_BATCH_MESSAGES = _histogram(
    "receive_batch_messages", _group, _BATCH, "Messages for each read that found any.", "consumer"
)
POLLS = _counter(
    "polls",
    ("group", "result"),
    "Reads of the stream: messages, empty or error.",
    "consumer",
    ("messages", "empty", "error"),
)
LAST_POLL_TIMESTAMP_SECONDS = _gauge(
    "last_poll_timestamp_seconds", ("group",), "When a read was last answered (Unix time).", "max"
)
QUEUE_TIME_SECONDS = _histogram(
    "queue_time_seconds", _group, _QUEUE, "From publish to the first start of the handler.", "consumer"
)
END_TO_END_SECONDS = _histogram(
    "end_to_end_seconds",
    (*_group, "outcome"),
    _QUEUE,
    "From publish to the settlement, retries included, replays left out.",
    "consumer",
    FINAL_OUTCOMES,
)
MAILBOX_WAIT_SECONDS = _histogram(
    "mailbox_wait_seconds", ("group",), _FAST, "From the read to the start of the handler.", "consumer"
)

# --- handler

PROCESS_DURATION_SECONDS = _histogram(
    "process_duration_seconds",
    (*_group, "event", "error_type"),
    _HANDLER,
    "How long one attempt of the handler took.",
    "event",
    ("",),
)
PROCESSED_MESSAGES = _counter(
    "processed_messages", (*_group, "event", "outcome"), "Deliveries by how they ended.", "event", OUTCOMES
)
RETRIES = _counter("retries", (*_group, "error_type"), "Retries that were scheduled.", "consumer", ("",))
MESSAGE_ATTEMPTS = _histogram(
    "message_attempts",
    (*_group, "outcome"),
    _ATTEMPTS,
    "Attempts that a message took in all.",
    "consumer",
    FINAL_OUTCOMES,
)
REDELIVERIES = _counter(
    "redeliveries",
    (*_group, "cause"),
    "Deliveries that were not the first of their message.",
    "consumer",
    ("retry", "reclaim", "restart", "replay"),
)
DEAD_LETTERED_MESSAGES = _counter(
    "dead_lettered_messages",
    (*_group, "reason"),
    "Messages put into the dead-letter stream.",
    "consumer",
    Reason.ALL,
)
REPLAYED_MESSAGES = _counter(
    "replayed_messages",
    ("stream", "source"),
    "Dead letters that this process sent back.",
    "operator",
    ("dlq",),
)
DECODE_ERRORS = _counter("decode_errors", _group, "Entries that are no message.", "consumer")
TRIMMED_ENTRIES = _counter(
    "trimmed_entries", _stream, "Entries that this process removed because no group needs them.", "consumer"
)
STREAM_PINNED_SECONDS = _gauge(
    "stream_pinned_seconds",
    _group,
    "Age of the oldest entry that a group far behind still needs; the stream grows for its sake.",
    "max",
)

# --- leases

RECLAIMED_MESSAGES = _counter(
    "reclaimed_messages",
    (*_group, "result"),
    "Entries that other members left behind: claimed by this one, or deleted (trimmed away).",
    "consumer",
    ("claimed", "deleted"),
)
LEASES_LOST = _counter(
    "leases_lost", _group, "Entries held here that another member came to own.", "consumer"
)
LEASE_RENEWALS = _counter(
    "lease_renewals", ("group", "error_type"), "Leases that were renewed.", "consumer", ("",)
)
ACKED_MESSAGES = _counter(
    "acked_messages",
    (*_group, "result"),
    "Acks by reply: ok, or missing (the entry was not pending any more).",
    "consumer",
    ("ok", "missing"),
)

# --- runtime

INFLIGHT_MESSAGES = _gauge("inflight_messages", _group, "Handlers that are running.")
MAILBOX_MESSAGES = _gauge(
    "mailbox_messages", ("group", "event"), "Deliveries that wait for a worker, by event."
)
MAILBOX_CAPACITY_MESSAGES = _gauge(
    "mailbox_capacity_messages", ("group",), "Entries that may be held: waiting, running, settling."
)
WORKERS = _gauge("workers", ("group", "state"), "Worker threads: busy, idle or stopped.")
WORKER_BUSY_SECONDS = _counter(
    "worker_busy_seconds", ("group",), "Time that worker threads spent in handlers.", "consumer"
)
# "stuck" counts what stalled and was replaced: the label is older than our word for it, and pinned.
WORKER_RESTARTS = _counter(
    "worker_restarts",
    ("group", "reason"),
    "Actors started anew: crash or stuck.",
    "consumer",
    ("crash", "stuck"),
)
# The fetcher's; of a publisher it is the time held back.
BACKPRESSURE_SECONDS = _counter(
    "backpressure_seconds",
    ("group",),
    "Time that the fetcher waited because no more could be held.",
    "consumer",
)
OLDEST_INFLIGHT_SECONDS = _gauge(
    "oldest_inflight_seconds", ("group",), "How long the longest running handler has been at it.", "max"
)
SHUTDOWN_ABANDONED_MESSAGES = _counter(
    "shutdown_abandoned_messages",
    ("group",),
    "Messages still running at the end of the drain time.",
    "consumer",
)
BUILD_INFO = Info("streamix_build_info", ("version", "python", "redis_py"), "What runs here.")

# --- Redis

REDIS_COMMAND_DURATION_SECONDS = _histogram(
    "redis_command_duration_seconds",
    ("command", "error_type"),
    _FAST,
    "Round trips of the library to Redis by what they do; blocking reads are left out.",
)
REDIS_ERRORS = _counter(
    "redis_errors", ("error_type",), "Round trips to Redis that failed.", "consumer", _BROKER_ERRORS
)
REDIS_RECONNECTS = _counter(
    "redis_reconnects",
    ("reason",),
    "Times that Redis answered again after an outage.",
    "consumer",
    _BROKER_ERRORS,
)
REDIS_CONNECTED = _gauge("redis_connected", (), "0 while Redis cannot be reached.", "min")
REDIS_CLOCK_SKEW_SECONDS = _backlog("redis_clock_skew_seconds", (), "Redis' clock minus ours.")

# --- backlog, read when the page is

STREAM_LENGTH_MESSAGES = _backlog("stream_length_messages", _stream, "Entries on the stream.")
STREAM_ENTRIES_ADDED = Counter(
    "streamix_stream_entries_added_total", _stream, "Entries ever added to the stream.", backlog=True
)
STREAM_FIRST_ENTRY_TIMESTAMP_SECONDS = _backlog(
    "stream_first_entry_timestamp_seconds", _stream, "When the oldest entry was added (Unix time)."
)
STREAM_LAST_ENTRY_TIMESTAMP_SECONDS = _backlog(
    "stream_last_entry_timestamp_seconds", _stream, "When the newest entry was added (Unix time)."
)
STREAM_MEMORY_BYTES = _backlog(
    "stream_memory_bytes", _stream, "Memory of the stream, estimated by Redis.", optional=True
)
GROUP_LAG_MESSAGES = _backlog(
    "group_lag_messages", _group, "Entries not delivered to the group; absent if Redis does not know."
)
GROUP_LAG_KNOWN = _backlog("group_lag_known", _group, "1 if Redis knows the lag.")
GROUP_PENDING_MESSAGES = _backlog(
    "group_pending_messages", _group, "Entries delivered and not settled, inboxes included."
)
GROUP_OLDEST_UNDELIVERED_SECONDS = _backlog(
    "group_oldest_undelivered_seconds",
    _group,
    "Age of the oldest entry that no member has got, inboxes included; 0 if there is none.",
)
GROUP_OLDEST_PENDING_SECONDS = _backlog(
    "group_oldest_pending_seconds", _group, "Age of the oldest entry not settled; 0 if there is none."
)
GROUP_MAX_IDLE_PENDING_SECONDS = _backlog(
    "group_max_idle_pending_seconds",
    _group,
    "Longest time since a pending entry was delivered or renewed, of the oldest 100.",
)
GROUP_MAX_DELIVERIES = _backlog(
    "group_max_deliveries", _group, "Most deliveries of a pending entry, of the oldest 100."
)
GROUP_CONSUMERS = _backlog(
    "group_consumers", (*_group, "state"), "Members: active, or stale (silent for over a lease)."
)
GROUP_INBOX_MESSAGES = _backlog(
    "group_inbox_messages", (*_group, "event"), "Retries, replays and hand-overs not settled yet."
)
DEAD_LETTER_MESSAGES = _backlog("dead_letter_messages", _stream, "Dead letters of all groups of the stream.")
DEAD_LETTER_OLDEST_SECONDS = _backlog(
    "dead_letter_oldest_seconds", _stream, "Age of the oldest dead letter; 0 if there is none."
)
DELAYED_MESSAGES = _backlog("delayed_messages", _group, "Retries that wait until they are due.")
DELAYED_OVERDUE_SECONDS = _backlog(
    "delayed_overdue_seconds", _group, "How long the first retry has been due; 0 if none is."
)
COLLECTOR_SUCCESS = _backlog("collector_success", (), "1 if Redis gave all of the backlog's figures.")
COLLECTOR_DURATION_SECONDS = _backlog("collector_duration_seconds", (), "How long that took.")

CATALOGUE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of the above, in the order of the page."""

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}
