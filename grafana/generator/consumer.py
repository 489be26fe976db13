"""Why is it slow? The inside of the consumers: workers, handlers, mailboxes, leases, Redis."""

from __future__ import annotations

from grafana.generator.dashboard import Dashboard, Row
from grafana.generator.panels import Column, Query, heatmap, limits, stat, table, timeseries
from grafana.generator.queries import RATE, increase, latest, mean, quantile, rate, selector

__all__ = ["CONSUMER"]

_SG = ("stream", "group")
_NAME = "{{stream}} → {{group}}"
_AT_WORK = {"how": "sum", "state": "~busy|idle"}
_BUSY = f"{rate('worker_busy_seconds_total', 'group')} / {latest('workers', 'group', **_AT_WORK)}"
_HELD = (
    f"({latest('mailbox_messages', 'instance', 'group', how='sum')}"
    f" + {latest('inflight_messages', 'instance', 'group', how='sum')})"
    f" / {latest('mailbox_capacity_messages', 'instance', 'group')}"
)
# Not below 0: the page may be read a moment after the moment that Prometheus notes for it.
_LAST_READ = f"clamp_min(time() - {latest('last_poll_timestamp_seconds', 'instance', 'group')}, 0)"

_ATTEMPTS = increase("process_duration_seconds_count", "event")

_WORKERS = Row(
    "Are the workers busy?",
    [
        stat(
            "Workers busy",
            "Share of the time that worker threads spend in handlers. Near 100 %: add concurrency or "
            "processes. Low while messages wait: look at the rows on mailboxes, reads and Redis.",
            Query(
                f"{rate('worker_busy_seconds_total')} / {latest('workers', how='sum', state='~busy|idle')}",
                "busy",
            ),
            unit="percentunit",
            width=6,
            thresholds=limits((None, "green"), (0.7, "orange"), (0.9, "red")),
            spark=True,
        ),
        stat(
            "Handlers running",
            "At this moment, in all processes.",
            Query(latest("inflight_messages", how="sum"), "running"),
            unit="short",
            width=6,
            spark=True,
        ),
        stat(
            "Longest running handler",
            "Its lease is renewed for as long as it runs. Minutes, where seconds are usual: it hangs.",
            Query(latest("oldest_inflight_seconds"), "longest"),
            unit="s",
            width=6,
            thresholds=limits((None, "green"), (60, "orange"), (600, "red")),
        ),
        stat(
            "Restarted parts",
            "Within the chosen time range. Each is a bug, of the library or around it; the log has the "
            "traceback.",
            Query(f"ceil({increase('worker_restarts_total')})", "restarts"),
            unit="short",
            width=6,
            thresholds=limits((None, "green"), (1, "orange"), (4, "red")),
        ),
        timeseries(
            "Workers busy, by group",
            "By group.",
            Query(_BUSY, "{{group}}"),
            unit="percentunit",
            top=1,
            thresholds=limits((None, "transparent"), (0.9, "red")),
        ),
        timeseries(
            "Workers by state",
            "Stopped ones are about to be restarted.",
            Query(latest("workers", "state", how="sum"), "{{state}}"),
            unit="short",
            stacked=True,
        ),
        timeseries(
            "Longest running handler, by process",
            "The dashed line is where the alert fires.",
            Query(latest("oldest_inflight_seconds", "instance", "group"), "{{group}} on {{instance}}"),
            unit="s",
            thresholds=limits((None, "transparent"), (600, "red")),
        ),
    ],
)

_HANDLERS = Row(
    "Which event is slow?",
    [
        timeseries(
            "Duration of a handler",
            "p95 of one attempt, by event. The dots are traces: click one.",
            Query(quantile(0.95, "process_duration_seconds", "event"), "{{event}}", exemplars=True),
            unit="s",
        ),
        heatmap(
            "Duration of a handler, every attempt",
            "Two bands tell of two kinds of work, which a quantile would blur.",
            Query(increase("process_duration_seconds_bucket", "le", over=RATE), "{{le}}"),
            unit="s",
        ),
        timeseries(
            "Where the time goes",
            "Seconds of handler time per second, by event: how many threads each of them takes up.",
            Query(rate("process_duration_seconds_sum", "event"), "{{event}}"),
            unit="short",
            stacked=True,
        ),
        table(
            "Events",
            "Within the chosen time range.",
            {"event": "Event"},
            [
                (Column("Attempts", "locale"), _ATTEMPTS),
                (
                    Column("Mean", "s"),
                    f"{increase('process_duration_seconds_sum', 'event')} / {_ATTEMPTS}",
                ),
                (
                    Column("p99", "s"),
                    f"histogram_quantile(0.99, {increase('process_duration_seconds_bucket', 'le', 'event')})",
                ),
                (
                    Column("Failed", "percentunit", limits((None, "green"), (0.05, "red"))),
                    f"{increase('process_duration_seconds_count', 'event', error_type='!')} / {_ATTEMPTS}",
                ),
            ],
            sort="Attempts",
            height=7,
        ),
    ],
)

_MAILBOXES = Row(
    "Does it wait in front of the handler?",
    [
        timeseries(
            "Mailboxes",
            "Messages that this group's processes have read and that wait for a worker, by event.",
            Query(latest("mailbox_messages", "event", how="sum"), "{{event}}"),
            unit="short",
            width=6,
            stacked=True,
        ),
        timeseries(
            "How full",
            "Waiting and running, of what may be held. Full for long: the handlers limit the throughput.",
            Query(_HELD, "{{group}} on {{instance}}"),
            unit="percentunit",
            width=6,
            thresholds=limits((None, "transparent"), (0.9, "red")),
        ),
        timeseries(
            "Wait in the mailbox",
            "From the read to the start of the handler.",
            Query(quantile(0.5, "mailbox_wait_seconds", "group"), "p50 {{group}}"),
            Query(quantile(0.99, "mailbox_wait_seconds", "group"), "p99 {{group}}"),
            unit="s",
            width=6,
        ),
        timeseries(
            "Reading held up",
            "Share of the time in which nothing was read since no more could be held.",
            Query(rate("backpressure_seconds_total", "instance", "group"), "{{group}} on {{instance}}"),
            unit="percentunit",
            width=6,
        ),
    ],
)

_READS = Row(
    "Does it get messages?",
    [
        timeseries(
            "Reads by result",
            "Empty ones end by themselves every two seconds. Errors: see the row on Redis.",
            Query(rate("polls_total", "group", "result"), "{{group}}: {{result}}"),
            unit="ops",
            width=6,
        ),
        timeseries(
            "Time since the last read",
            "A saw of two seconds is idleness. The dashed line is where the alert fires.",
            Query(_LAST_READ, "{{group}} on {{instance}}"),
            unit="s",
            width=6,
            thresholds=limits((None, "transparent"), (60, "red")),
        ),
        timeseries(
            "Received by source",
            "new, inbox (retries, replays, hand-overs), reclaim (from a member that died), pending (a lost "
            "reply).",
            Query(rate("received_messages_total", "source"), "{{source}}"),
            unit="mps",
            width=6,
            stacked=True,
        ),
        timeseries(
            "Messages in a read",
            "Mean of those reads that found any.",
            Query(mean("receive_batch_messages", *_SG), _NAME),
            unit="short",
            width=6,
        ),
    ],
)

_LEASES = Row(
    "Are the leases kept?",
    [
        timeseries(
            "Renewed",
            "By the type of the error; none on success.",
            Query(rate("lease_renewals_total", "group", "error_type"), "{{group}} {{error_type}}"),
            unit="mps",
            width=6,
        ),
        timeseries(
            "Lost, and acked too late",
            "A lost lease is a message that ran twice. A late ack found the entry settled by another.",
            Query(rate("leases_lost_total", *_SG), f"lost: {_NAME}"),
            Query(rate("acked_messages_total", *_SG, result="missing"), f"late: {_NAME}"),
            unit="mps",
            width=6,
        ),
        timeseries(
            "Pending",
            "Idle: since it was delivered or renewed, so never above a lease. Age: since it was published.",
            Query(latest("group_max_idle_pending_seconds", *_SG), f"idle: {_NAME}"),
            Query(latest("group_oldest_pending_seconds", *_SG), f"age: {_NAME}"),
            unit="s",
            width=6,
            thresholds=limits((None, "transparent"), (300, "red")),
        ),
        timeseries(
            "Pending and acked",
            "Delivered and not settled, against what is acked each second.",
            Query(latest("group_pending_messages", *_SG), f"pending: {_NAME}"),
            Query(rate("acked_messages_total", *_SG, result="ok"), f"acked/s: {_NAME}"),
            unit="short",
            width=6,
        ),
        timeseries(
            "Taken over",
            "From members that died: claimed, or deleted (trimmed away meanwhile, and lost).",
            Query(rate("reclaimed_messages_total", *_SG, "result"), "{{group}}: {{result}}"),
            unit="mps",
        ),
        timeseries(
            "Delivered again",
            "By cause: retry, reclaim, restart (a lost reply) and replay.",
            Query(rate("redeliveries_total", *_SG, "cause"), "{{group}}: {{cause}}"),
            unit="mps",
        ),
        timeseries(
            "Members",
            "Stale ones have been silent for longer than a lease.",
            Query(latest("group_consumers", *_SG, "state"), "{{group}}: {{state}}"),
            unit="short",
        ),
    ],
)

_REDIS = Row(
    "Is Redis quick?",
    [
        timeseries(
            "Round trips",
            "p99 by what they do; blocking reads are left out.",
            Query(quantile(0.99, "redis_command_duration_seconds", "command"), "{{command}}"),
            unit="s",
        ),
        timeseries(
            "Round trips per second",
            "By what they do.",
            Query(rate("redis_command_duration_seconds_count", "command"), "{{command}}"),
            unit="ops",
        ),
        timeseries(
            "Failed round trips",
            "By the type of the error.",
            Query(rate("redis_errors_total", "error_type"), "{{error_type}}"),
            unit="ops",
        ),
        timeseries(
            "Connected",
            "By process.",
            Query(latest("redis_connected", "instance", how="min"), "{{instance}}"),
            unit="bool_yes_no",
            top=1,
            width=12,
            height=6,
        ),
        timeseries(
            "Back after an outage",
            "By what the outage looked like.",
            Query(rate("redis_reconnects_total", "reason"), "{{reason}}"),
            unit="ops",
            width=12,
            height=6,
        ),
    ],
)

_PROCESSES = Row(
    "Do the processes stay up?",
    [
        timeseries(
            "Restarted parts, by reason",
            "crash: an error of the library's own. stuck: no progress, and replaced.",
            Query(
                increase("worker_restarts_total", "group", "reason", over=RATE),
                "{{group}}: {{reason}}",
            ),
            unit="short",
            width=6,
        ),
        timeseries(
            "Abandoned at a stop",
            "Handlers that were still running at the end of drain_timeout_ms; their messages run again.",
            Query(increase("shutdown_abandoned_messages_total", "group", over=RATE), "{{group}}"),
            unit="short",
            width=6,
        ),
        table(
            "Versions",
            "What runs where. More than one version for long: a roll-out that stopped half-way.",
            {
                "job": "Job",
                "instance": "Instance",
                "version": "Streamix",
                "python": "Python",
                "redis_py": "redis-py",
            },
            [(Column("Up", "bool_yes_no"), selector("build_info"))],
            width=12,
        ),
    ],
)

CONSUMER = Dashboard(
    "streamix-consumer",
    "Streamix / Consumer",
    "Why is it slow? Workers, handlers, mailboxes, reads, leases and Redis, from the inside.",
    [_WORKERS, _HANDLERS, _MAILBOXES, _READS, _LEASES, _REDIS, _PROCESSES],
)
