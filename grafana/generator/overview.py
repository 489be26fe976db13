"""Is it healthy? The first page: everything that pages somebody, for every stream and group."""

from __future__ import annotations

from grafana.generator.dashboard import Dashboard, Row
from grafana.generator.panels import Column, Query, heatmap, limits, stat, table, timeseries
from grafana.generator.queries import RATE, increase, latest, mean, quantile, rate, selector

__all__ = ["OVERVIEW"]

_SG = ("stream", "group")
_NAME = "{{stream}} → {{group}}"
_AGE = limits((None, "green"), (30, "orange"), (60, "red"))
_SLOW = f"1 - {rate('queue_time_seconds_bucket', *_SG, le='5.0')} / {rate('queue_time_seconds_count', *_SG)}"
_IN_TIME = f"{increase('queue_time_seconds_bucket', le='5.0')} / {increase('queue_time_seconds_count')}"
_FAILING = (
    f"{rate('processed_messages_total', outcome='~retry|dead_letter')}"
    f" / {rate('processed_messages_total', outcome='~ack|retry|dead_letter')}"
)

_HEALTH = Row(
    "Is it healthy?",
    [
        stat(
            "Oldest waiting",
            "How long the oldest message has been waiting that no consumer has taken. The figure to page on: "
            "it is right also when no consumer runs, and when Redis does not know the lag.",
            Query(f"max({latest('group_oldest_undelivered_seconds', *_SG)})", "age"),
            unit="s",
            thresholds=_AGE,
        ),
        stat(
            "Waiting",
            "Messages not delivered yet, of all groups. A group whose lag Redis does not know is left out.",
            Query(f"sum({latest('group_lag_messages', *_SG)})", "lag"),
            unit="short",
            spark=True,
        ),
        stat(
            "Taken within 5 s",
            "Share of messages whose handler began within 5 s of the publish. The service level is 99 %.",
            Query(_IN_TIME, "in time"),
            unit="percentunit",
            thresholds=limits((None, "red"), (0.95, "orange"), (0.99, "green")),
            decimals=2,
        ),
        stat(
            "Handled",
            "Messages handled to success.",
            Query(rate("processed_messages_total", outcome="ack"), "handled"),
            unit="mps",
            spark=True,
        ),
        stat(
            "Failing attempts",
            "Share of attempts that end in a retry or a dead letter.",
            Query(_FAILING, "failing"),
            unit="percentunit",
            thresholds=limits((None, "green"), (0.01, "orange"), (0.05, "red")),
            spark=True,
        ),
        stat(
            "New dead letters",
            "Within the chosen time range. Each waits for a person: see the dashboard on dead letters.",
            Query(f"ceil({increase('dead_lettered_messages_total')})", "dead letters"),
            unit="short",
            thresholds=limits((None, "green"), (1, "orange")),
        ),
        stat(
            "Active consumers",
            "Members of all groups that talked to Redis within a lease.",
            Query(f"sum({latest('group_consumers', *_SG, state='active')})", "active"),
            unit="short",
            thresholds=limits((None, "red"), (1, "green")),
        ),
        stat(
            "Redis",
            "Away as soon as one process cannot reach it, or is refused.",
            Query(latest("redis_connected", how="min"), "redis"),
            unit="short",
            words={1: ("connected", "green"), 0: ("away", "red")},
        ),
    ],
)

_KEEPING_UP = Row(
    "Is it keeping up?",
    [
        timeseries(
            "In and out",
            "What is published against what the groups handle. Each group handles the whole stream, so a "
            "group that keeps up runs along the line of its stream.",
            Query(rate("published_messages_total", "stream", error_type=""), "in: {{stream}}"),
            Query(rate("processed_messages_total", *_SG, outcome="ack"), f"out: {_NAME}"),
            unit="mps",
        ),
        timeseries(
            "Oldest message waiting, by group",
            "Rising as fast as time itself: nobody takes messages. Flat and above 0: just not enough do. "
            "The dashed line is where the alert fires.",
            Query(latest("group_oldest_undelivered_seconds", *_SG), _NAME),
            unit="s",
            thresholds=limits((None, "transparent"), (60, "red")),
        ),
        timeseries(
            "Messages waiting, by group",
            "Not delivered yet, and retries that wait until they are due.",
            Query(latest("group_lag_messages", *_SG), _NAME),
            Query(latest("delayed_messages", *_SG), f"retries: {_NAME}"),
            unit="short",
        ),
        table(
            "Groups",
            "Every group at this moment. A lag that Redis does not know is empty: go by the age then.",
            {"stream": "Stream", "group": "Group"},
            [
                (Column("Lag", "locale"), latest("group_lag_messages", *_SG)),
                (Column("Lag known", "bool_yes_no"), latest("group_lag_known", *_SG)),
                (Column("Oldest waiting", "s", _AGE), latest("group_oldest_undelivered_seconds", *_SG)),
                (Column("Pending", "locale"), latest("group_pending_messages", *_SG)),
                (
                    Column("Longest idle", "s", limits((None, "green"), (300, "red"))),
                    latest("group_max_idle_pending_seconds", *_SG),
                ),
                (Column("Retries waiting", "locale"), latest("delayed_messages", *_SG)),
                (Column("In inboxes", "locale"), latest("group_inbox_messages", *_SG, how="sum")),
                (
                    Column("Active", "locale", limits((None, "red"), (1, "green"))),
                    latest("group_consumers", *_SG, state="active"),
                ),
                (Column("Stale", "locale"), latest("group_consumers", *_SG, state="stale")),
            ],
            sort="Oldest waiting",
        ),
    ],
)

_HOW_LONG = Row(
    "How long does a message take?",
    [
        timeseries(
            "Time in the queue",
            "From the publish to the first start of the handler. The dots are traces: click one.",
            Query(quantile(0.5, "queue_time_seconds"), "p50", exemplars=True),
            Query(quantile(0.95, "queue_time_seconds"), "p95"),
            Query(quantile(0.99, "queue_time_seconds"), "p99"),
            unit="s",
        ),
        heatmap(
            "Time in the queue, every message",
            "Two bands tell of two kinds of messages, which a quantile would blur.",
            Query(increase("queue_time_seconds_bucket", "le", over=RATE), "{{le}}"),
            unit="s",
        ),
        timeseries(
            "From publish to the end",
            "p95 until a message has succeeded, or is a dead letter; retries and their backoff included.",
            Query(quantile(0.95, "end_to_end_seconds", *_SG, outcome="ack"), _NAME),
            Query(
                quantile(0.95, "end_to_end_seconds", *_SG, outcome="dead_letter"), f"dead letters: {_NAME}"
            ),
            unit="s",
        ),
        timeseries(
            "Queue-time budget",
            "Share of messages that wait over 5 s. The budget is 1 %; above 14.4 % for minutes it pages.",
            Query(_SLOW, _NAME),
            unit="percentunit",
            thresholds=limits((None, "transparent"), (0.01, "orange"), (0.144, "red")),
            width=24,
            height=6,
        ),
    ],
)

_UNPUBLISHED = rate("published_messages_total", "stream", "error_type", error_type="!")
_PUBLISHED = Row(
    "What is published?",
    [
        timeseries(
            "Published, and failed to be",
            "What failed, with the type of its error, is not on the stream; its publisher was told.",
            Query(rate("published_messages_total", "stream", error_type=""), "{{stream}}"),
            Query(f"{_UNPUBLISHED} > 0", "{{stream}}: {{error_type}}"),
            unit="mps",
            width=6,
        ),
        timeseries(
            "Duration of publish()",
            "p99 of a call, whether of one message or of many.",
            Query(
                quantile(0.99, "publish_duration_seconds", "stream", "error_type"),
                "{{stream}} {{error_type}}",
            ),
            unit="s",
            width=6,
        ),
        timeseries(
            "Messages in a call",
            "Mean; far more than 1 where publish_many() is used.",
            Query(mean("publish_batch_messages", "stream"), "{{stream}}"),
            unit="short",
            width=6,
        ),
        timeseries(
            "Size of messages",
            "p95 of the encoded size.",
            Query(quantile(0.95, "message_size_bytes", "stream"), "{{stream}}"),
            unit="bytes",
            width=6,
        ),
        timeseries(
            "Publishing held back",
            "Publishers with max_backlog: how long one waited for the slowest group, noted when it goes on.",
            Query(increase("publish_held_back_seconds_total", "stream", over=RATE), "{{stream}}"),
            unit="s",
            width=12,
        ),
        timeseries(
            "Shed",
            "What publishers left out by choice (on_full='shed'), as the slowest group was far behind.",
            Query(rate("publish_shed_messages_total", "stream"), "{{stream}}"),
            unit="mps",
            width=12,
        ),
    ],
)


def _age_of(entry: str) -> str:
    # Not below 0: the page may be read a moment after the moment that Prometheus notes for it.
    return f"clamp_min(time() - {latest(entry, 'stream')}, 0)"


# Several processes may report on the same stream: one of the copies.
_ADDED = f"max by (stream) (rate({selector('stream_entries_added_total')}[{RATE}]))"
_HELD = Row(
    "What does Redis hold?",
    [
        timeseries(
            "Entries on the streams",
            "Growing without end: nothing trims it. Falling while a group lags: something trims too much.",
            Query(latest("stream_length_messages", "stream"), "{{stream}}"),
            unit="short",
            width=6,
        ),
        timeseries(
            "What the streams still hold",
            "Age of the oldest and the newest entry. A group whose oldest waiting message is near the "
            "oldest entry is about to lose messages to trimming.",
            Query(_age_of("stream_first_entry_timestamp_seconds"), "oldest: {{stream}}"),
            Query(_age_of("stream_last_entry_timestamp_seconds"), "newest: {{stream}}"),
            unit="s",
            width=6,
        ),
        timeseries(
            "Added to the streams",
            "By everybody, also by publishers that export no metrics. Redis before 7.0 does not count it.",
            Query(
                f"max by (stream) (rate({selector('stream_entries_added_total')}[$__rate_interval]))",
                "{{stream}}",
            ),
            unit="mps",
            width=6,
        ),
        timeseries(
            "Memory of the streams",
            "Estimated by Redis, where it was asked for.",
            Query(latest("stream_memory_bytes", "stream"), "{{stream}}"),
            unit="bytes",
            width=6,
        ),
        timeseries(
            "Trimmed",
            "What retention removes because every group is done with it. 0 while the streams grow: a group "
            "that is far behind holds them back; streamix trim --dry-run names it.",
            Query(rate("trimmed_entries_total", "stream"), "{{stream}}"),
            unit="mps",
            width=12,
            height=6,
        ),
        timeseries(
            "Held back by",
            "Groups that are far behind, and the age of the oldest entry that each still needs: nothing "
            "younger is trimmed.",
            Query(
                f"max by (stream, group) ({selector('stream_pinned_seconds')})",
                "{{group}} on {{stream}}",
            ),
            unit="s",
            width=12,
            height=6,
        ),
        timeseries(
            "Reading the backlog",
            "How long it takes to read all these figures from Redis.",
            Query(latest("collector_duration_seconds", "instance"), "{{instance}}"),
            unit="s",
        ),
        timeseries(
            "The backlog could be read",
            "0 while Redis is away or slow: lag, ages and members are missing from the page then.",
            Query(latest("collector_success", "instance", how="min"), "{{instance}}"),
            unit="bool_yes_no",
            top=1,
        ),
        timeseries(
            "Redis' clock minus ours",
            "Queue times are measured from Redis' clock to the consumer's: they are wrong by this much.",
            Query(latest("redis_clock_skew_seconds", "instance"), "{{instance}}"),
            unit="s",
            below_zero=True,
        ),
    ],
)

OVERVIEW = Dashboard(
    "streamix-overview",
    "Streamix / Overview",
    "Is it healthy? Backlog, time in the queue and failures of every stream and group.",
    [_HEALTH, _KEEPING_UP, _HOW_LONG, _PUBLISHED, _HELD],
)
