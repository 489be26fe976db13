"""What fails, and why? Dead letters, retries, and what goes wrong before them."""

from __future__ import annotations

from grafana.generator.dashboard import Dashboard, Row
from grafana.generator.panels import Column, Query, heatmap, limits, stat, table, timeseries
from grafana.generator.queries import RATE, increase, latest, quantile, rate

__all__ = ["DEAD_LETTERS"]

_SG = ("stream", "group")
_NAME = "{{stream}} → {{group}}"
_FAILED = "~retry|dead_letter"
_TRIED = "~ack|retry|dead_letter"
_FAILING = limits((None, "green"), (0.01, "orange"), (0.05, "red"))
_ERRORS = increase("process_duration_seconds_count", "event", "error_type", error_type="!")


def _ended(outcome: str) -> str:
    """Deliveries of each event that ended so."""
    return increase("processed_messages_total", *_SG, "event", outcome=outcome)


_WAITING = Row(
    "What waits for a person?",
    [
        stat(
            "Dead letters",
            "In the dead-letter streams now, of all groups. List them with: streamix dlq ls",
            Query(f"sum({latest('dead_letter_messages', 'stream')})", "dead letters"),
            unit="short",
            thresholds=limits((None, "green"), (1, "orange")),
            width=4,
        ),
        stat(
            "Oldest dead letter",
            "How long the oldest of them has been waiting for a decision.",
            Query(latest("dead_letter_oldest_seconds"), "age"),
            unit="s",
            thresholds=limits((None, "green"), (86400, "orange"), (604800, "red")),
            width=4,
        ),
        stat(
            "New",
            "Within the chosen time range.",
            Query(f"ceil({increase('dead_lettered_messages_total')})", "new"),
            unit="short",
            thresholds=limits((None, "green"), (1, "orange")),
            width=4,
        ),
        stat(
            "Failing attempts",
            "Share of attempts that end in a retry or a dead letter.",
            Query(
                f"{rate('processed_messages_total', outcome=_FAILED)}"
                f" / {rate('processed_messages_total', outcome=_TRIED)}",
                "failing",
            ),
            unit="percentunit",
            thresholds=_FAILING,
            spark=True,
            width=4,
        ),
        stat(
            "Retries waiting",
            "Until they are due. They are in Redis, and survive any crash.",
            Query(f"sum({latest('delayed_messages', *_SG)})", "waiting"),
            unit="short",
            spark=True,
            width=4,
        ),
        stat(
            "Retries overdue",
            "How long the first one has been due. Over a few seconds: no consumer is there to take it.",
            Query(f"max({latest('delayed_overdue_seconds', *_SG)})", "overdue"),
            unit="s",
            thresholds=limits((None, "green"), (10, "orange"), (60, "red")),
            width=4,
        ),
        timeseries(
            "Dead letters, by stream",
            "By stream. Falling: somebody replays or removes them.",
            Query(latest("dead_letter_messages", "stream"), "{{stream}}"),
            unit="short",
            width=12,
            height=7,
        ),
        timeseries(
            "Oldest dead letter, by stream",
            "By stream.",
            Query(latest("dead_letter_oldest_seconds", "stream"), "{{stream}}"),
            unit="s",
            width=12,
            height=7,
        ),
    ],
)

_WHAT = Row(
    "What becomes a dead letter?",
    [
        timeseries(
            "By reason",
            "retries_exhausted and rejected: the handler. invalid and malformed: the publisher. crash and "
            "timeout: the process. trimmed: something trims the stream too early, and the payload is lost.",
            Query(rate("dead_lettered_messages_total", "reason"), "{{reason}}"),
            unit="mps",
            stacked=True,
        ),
        timeseries(
            "By group",
            "One group alone: its handler, or its deployment. All groups of a stream: its publisher.",
            Query(rate("dead_lettered_messages_total", *_SG), _NAME),
            unit="mps",
            stacked=True,
        ),
        timeseries(
            "Unreadable entries",
            "Entries of the stream that are no message at all. Somebody else writes to it.",
            Query(rate("decode_errors_total", *_SG), _NAME),
            unit="mps",
        ),
        table(
            "Events",
            "How the deliveries of each event ended within the chosen time range.",
            {"stream": "Stream", "group": "Group", "event": "Event"},
            [
                (
                    Column("Succeeded", "locale"),
                    increase("processed_messages_total", *_SG, "event", outcome="ack"),
                ),
                (
                    Column("Retried", "locale"),
                    increase("processed_messages_total", *_SG, "event", outcome="retry"),
                ),
                (
                    Column("Dead letters", "locale", limits((None, "green"), (1, "orange"))),
                    _ended("dead_letter"),
                ),
                (
                    Column("Failing", "percentunit", _FAILING),
                    f"{_ended(_FAILED)} / {_ended(_TRIED)}",
                ),
            ],
            sort="Dead letters",
        ),
    ],
)

_WHY = Row(
    "Why does it fail?",
    [
        timeseries(
            "Failing attempts by error",
            "By the class of the exception; _OTHER once there are more than fifty. The dead letters and the "
            "traces have the tracebacks.",
            Query(rate("process_duration_seconds_count", "error_type", error_type="!"), "{{error_type}}"),
            unit="mps",
            stacked=True,
        ),
        timeseries(
            "Retries by error",
            "What was given another try.",
            Query(rate("retries_total", "error_type", error_type="!"), "{{error_type}}"),
            unit="mps",
            stacked=True,
        ),
        timeseries(
            "How deliveries end",
            "drop: nobody in the group handles the event. requeue: handed to a member that does, or handed "
            "back at a stop.",
            Query(rate("processed_messages_total", "outcome"), "{{outcome}}"),
            unit="mps",
            stacked=True,
        ),
        timeseries(
            "Duration of failing attempts",
            "p95 by error. At a round number of seconds: a timeout of something that the handler calls.",
            Query(
                quantile(0.95, "process_duration_seconds", "error_type", error_type="!"),
                "{{error_type}}",
                exemplars=True,
            ),
            unit="s",
            width=12,
        ),
        table(
            "Errors by event",
            "Failed attempts within the chosen time range.",
            {"event": "Event", "error_type": "Error"},
            [
                (
                    Column("Attempts", "locale"),
                    f"topk(20, {_ERRORS} > 0)",
                )
            ],
            sort="Attempts",
            width=12,
        ),
    ],
)

_AGAIN = Row(
    "What is tried again?",
    [
        timeseries(
            "Retries waiting, by group",
            "By group. A hill that travels right: a dependency was away, and what failed then is due later.",
            Query(latest("delayed_messages", *_SG), _NAME),
            unit="short",
            width=6,
        ),
        timeseries(
            "Retries overdue, by group",
            "By group.",
            Query(latest("delayed_overdue_seconds", *_SG), _NAME),
            unit="s",
            width=6,
            thresholds=limits((None, "transparent"), (60, "red")),
        ),
        timeseries(
            "In the inboxes",
            "Retries that are due, replays and hand-overs, by event: not settled yet.",
            Query(latest("group_inbox_messages", *_SG, "event"), "{{group}}: {{event}}"),
            unit="short",
            width=6,
        ),
        timeseries(
            "Most deliveries of one message",
            "A message that kills its process comes back again and again; after five times it is a dead "
            "letter, with the reason crash.",
            Query(latest("group_max_deliveries", *_SG), _NAME),
            unit="short",
            width=6,
        ),
        heatmap(
            "Attempts of every message",
            "How many attempts it took until a message was settled.",
            Query(increase("message_attempts_bucket", "le", over=RATE), "{{le}}"),
            unit="short",
        ),
        timeseries(
            "Attempts until the end",
            "p99 by outcome.",
            Query(quantile(0.99, "message_attempts", "outcome"), "{{outcome}}"),
            unit="short",
        ),
        timeseries(
            "Replayed",
            "Dead letters that were sent back, by the processes that did it and export metrics.",
            Query(rate("replayed_messages_total", "stream", "source"), "{{stream}} from {{source}}"),
            unit="mps",
        ),
    ],
)

DEAD_LETTERS = Dashboard(
    "streamix-dead-letters",
    "Streamix / Dead letters",
    "What fails, and why? Dead letters, retries, and what goes wrong before them.",
    [_WAITING, _WHAT, _WHY, _AGAIN],
)
