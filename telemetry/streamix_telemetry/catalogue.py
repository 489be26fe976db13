"""Every metric that is exported: name, kind, labels and meaning, as data.

The code makes its metrics from this table; documents, rules and dashboards are checked against
it. Times are seconds, sizes bytes. ``error_type=""`` means that there was no error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BY_NAME", "CATALOGUE", "OTHER", "Metric"]

OTHER: Final = "_OTHER"
"""The value of a label whose true value is not one of a bounded set."""

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SEMCONV = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_HANDLER = (*_SEMCONV, 30.0, 60.0, 300.0)
_QUEUE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_BATCH = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
_ATTEMPTS = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0)
_SIZE = tuple(float(64 * 4**step) for step in range(10))  # 64 B to 16 MiB


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: As on the page.
        kind: ``counter``, ``gauge``, ``histogram`` or ``info``.
        labels: Names of its labels.
        help: What it means; the page shows it.
        buckets: Upper bounds of a histogram, without +Inf.
        merge: How a gauge of several consumers in one process becomes one value.
        backlog: Read from Redis when the page is read, and not from this process.
        optional: Only exported when it was asked for.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    merge: str = "sum"
    backlog: bool = False
    optional: bool = False


_stream = ("stream",)
_group = ("stream", "group")


def _counter(name: str, labels: tuple[str, ...], text: str, *, backlog: bool = False) -> Metric:
    return Metric(f"streamix_{name}_total", "counter", labels, text, backlog=backlog)


def _histogram(name: str, labels: tuple[str, ...], buckets: tuple[float, ...], text: str) -> Metric:
    return Metric(f"streamix_{name}", "histogram", labels, text, buckets)


def _gauge(name: str, labels: tuple[str, ...], text: str, merge: str = "sum") -> Metric:
    return Metric(f"streamix_{name}", "gauge", labels, text, merge=merge)


def _backlog(name: str, labels: tuple[str, ...], text: str, *, optional: bool = False) -> Metric:
    return Metric(f"streamix_{name}", "gauge", labels, text, backlog=True, optional=optional)


CATALOGUE: Final = (
    # --- publisher
    _counter("published_messages", ("stream", "error_type"), "Messages that publish() was asked to write."),
    _histogram("publish_duration_seconds", ("stream", "error_type"), _FAST, "How long a publish call took."),
    _histogram("publish_batch_messages", _stream, _BATCH, "Messages for each publish call."),
    _histogram("message_size_bytes", _stream, _SIZE, "Encoded size of a published message."),
    _counter("publish_shed_messages", _stream, "Messages not written, by choice, for the backlog was full."),
    _counter(
        "publish_held_back_seconds",
        _stream,
        "Time that publishing was held back because the backlog was full; counted when it goes on.",
    ),
    # --- delivery
    _counter(
        "received_messages",
        (*_group, "source"),
        "Deliveries into this process: new, inbox (a retry, replay or hand-over), reclaim (another "
        "member left it behind) or pending (the reply that held it had been lost).",
    ),
    _histogram("receive_batch_messages", _group, _BATCH, "Messages for each read that found any."),
    _counter("polls", ("group", "result"), "Reads of the stream: messages, empty or error."),
    _gauge("last_poll_timestamp_seconds", ("group",), "When a read was last answered (Unix time).", "max"),
    _histogram("queue_time_seconds", _group, _QUEUE, "From publish to the first start of the handler."),
    _histogram(
        "end_to_end_seconds",
        (*_group, "outcome"),
        _QUEUE,
        "From publish to the settlement, retries included, replays left out.",
    ),
    _histogram("mailbox_wait_seconds", ("group",), _FAST, "From the read to the start of the handler."),
    # --- handler
    _histogram(
        "process_duration_seconds",
        (*_group, "event", "error_type"),
        _HANDLER,
        "How long one attempt of the handler took.",
    ),
    _counter("processed_messages", (*_group, "event", "outcome"), "Deliveries by how they ended."),
    _counter("retries", (*_group, "error_type"), "Retries that were scheduled."),
    _histogram("message_attempts", (*_group, "outcome"), _ATTEMPTS, "Attempts that a message took in all."),
    _counter("redeliveries", (*_group, "cause"), "Deliveries that were not the first of their message."),
    _counter("dead_lettered_messages", (*_group, "reason"), "Messages put into the dead-letter stream."),
    _counter("replayed_messages", ("stream", "source"), "Dead letters that this process sent back."),
    _counter("decode_errors", _group, "Entries that are no message."),
    _counter("trimmed_entries", _stream, "Entries that this process removed because no group needs them."),
    _gauge(
        "stream_pinned_seconds",
        _group,
        "Age of the oldest entry that a group far behind still needs; the stream grows for its sake.",
        "max",
    ),
    # --- leases
    _counter(
        "reclaimed_messages",
        (*_group, "result"),
        "Entries that other members left behind: claimed by this one, or deleted (trimmed away).",
    ),
    _counter("leases_lost", _group, "Entries held here that another member came to own."),
    _counter("lease_renewals", ("group", "error_type"), "Leases that were renewed."),
    _counter(
        "acked_messages",
        (*_group, "result"),
        "Acks by reply: ok, or missing (the entry was not pending any more).",
    ),
    # --- runtime
    _gauge("inflight_messages", _group, "Handlers that are running."),
    _gauge("mailbox_messages", ("group", "event"), "Deliveries that wait for a worker, by event."),
    _gauge("mailbox_capacity_messages", ("group",), "Entries that may be held: waiting, running, settling."),
    _gauge("workers", ("group", "state"), "Worker threads: busy, idle or stopped."),
    _counter("worker_busy_seconds", ("group",), "Time that worker threads spent in handlers."),
    _counter("worker_restarts", ("group", "reason"), "Actors started anew: crash or stuck."),
    _counter(
        "backpressure_seconds", ("group",), "Time that the fetcher waited because no more could be held."
    ),
    _gauge(
        "oldest_inflight_seconds", ("group",), "How long the longest running handler has been at it.", "max"
    ),
    _counter(
        "shutdown_abandoned_messages", ("group",), "Messages still running at the end of the drain time."
    ),
    Metric("streamix_build_info", "info", ("version", "python", "redis_py"), "What runs here."),
    # --- Redis
    _histogram(
        "redis_command_duration_seconds",
        ("command", "error_type"),
        _FAST,
        "Round trips of the library to Redis by what they do; blocking reads are left out.",
    ),
    _counter("redis_errors", ("error_type",), "Round trips to Redis that failed."),
    _counter("redis_reconnects", ("reason",), "Times that Redis answered again after an outage."),
    _gauge("redis_connected", (), "0 while Redis cannot be reached.", "min"),
    _backlog("redis_clock_skew_seconds", (), "Redis' clock minus ours."),
    # --- backlog, read when the page is
    _backlog("stream_length_messages", _stream, "Entries on the stream."),
    _counter("stream_entries_added", _stream, "Entries ever added to the stream.", backlog=True),
    _backlog("stream_first_entry_timestamp_seconds", _stream, "When the oldest entry was added (Unix time)."),
    _backlog("stream_last_entry_timestamp_seconds", _stream, "When the newest entry was added (Unix time)."),
    _backlog("stream_memory_bytes", _stream, "Memory of the stream, estimated by Redis.", optional=True),
    _backlog(
        "group_lag_messages", _group, "Entries not delivered to the group; absent if Redis does not know."
    ),
    _backlog("group_lag_known", _group, "1 if Redis knows the lag."),
    _backlog("group_pending_messages", _group, "Entries delivered and not settled, inboxes included."),
    _backlog(
        "group_oldest_undelivered_seconds",
        _group,
        "Age of the oldest entry that no member has got, inboxes included; 0 if there is none.",
    ),
    _backlog(
        "group_oldest_pending_seconds", _group, "Age of the oldest entry not settled; 0 if there is none."
    ),
    _backlog(
        "group_max_idle_pending_seconds",
        _group,
        "Longest time since a pending entry was delivered or renewed, of the oldest 100.",
    ),
    _backlog("group_max_deliveries", _group, "Most deliveries of a pending entry, of the oldest 100."),
    _backlog("group_consumers", (*_group, "state"), "Members: active, or stale (silent for over a lease)."),
    _backlog("group_inbox_messages", (*_group, "event"), "Retries, replays and hand-overs not settled yet."),
    _backlog("dead_letter_messages", _stream, "Dead letters of all groups of the stream."),
    _backlog("dead_letter_oldest_seconds", _stream, "Age of the oldest dead letter; 0 if there is none."),
    _backlog("delayed_messages", _group, "Retries that wait until they are due."),
    _backlog("delayed_overdue_seconds", _group, "How long the first retry has been due; 0 if none is."),
    _backlog("collector_success", (), "1 if Redis gave all of the backlog's figures."),
    _backlog("collector_duration_seconds", (), "How long that took."),
)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}
