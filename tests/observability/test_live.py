"""Real services, some of them broken, under a real Prometheus: what the alerts and dashboards make of it."""

from __future__ import annotations

import math
import re
import time
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamix_telemetry.catalogue import BY_NAME, CATALOGUE
from tests.observability.live_queries import Target, label_values, targets
from tests.observability.live_rules import LIMITS, sixty_times_faster
from tests.observability.names import metric_of
from tests.observability.repository import ALERTS, DASHBOARDS, alerts, dashboard
from tests.observability.scene import HEALTHY, Scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]  # the first test plays the scene

_ALL_FIRING_WITHIN_S = 60.0

# Alert → whom the planted faults are known to set it off for: a group, else an instance or a job.
# In the first place those for whom it must fire, then those for whom it may as well.
CULPRITS: dict[str, tuple[set[str], set[str]]] = {
    "StreamixQueueTimeBudgetBurnFast": ({"mailer"}, {"feeds", "audit", "stock"}),
    "StreamixQueueTimeBudgetBurnSlow": ({"mailer"}, {"feeds", "audit", "stock"}),
    "StreamixOldestMessageTooOld": ({"invoicing", "reports"}, {"mailer", "feeds"}),
    "StreamixLagGrowing": ({"invoicing"}, set()),
    "StreamixNoActiveConsumers": ({"invoicing"}, {"mailer"}),
    "StreamixTelemetryGone": ({"archive", "ledger"}, set()),
    "StreamixStuckPending": ({"invoicing"}, set()),
    "StreamixRetentionRisk": ({"invoicing"}, set()),
    "StreamixStreamPinned": ({"abandoned"}, set()),
    "StreamixRetriesOverdue": ({"invoicing"}, set()),
    "StreamixCollectorFailing": ({"stranded-1"}, set()),
    "StreamixDeadLettering": ({"payments", "stock"}, set()),
    "StreamixDeadLetterRatioHigh": ({"payments"}, set()),
    "StreamixFailureRatioHigh": ({"payments"}, {"invoicing"}),
    "StreamixMessagesTrimmed": ({"stock"}, set()),
    "StreamixLeasesLost": ({"audit"}, set()),
    "StreamixHandlerStuck": ({"reports"}, {"audit"}),
    "StreamixMailboxesSaturated": ({"reports"}, {"mailer", "feeds", "audit"}),
    "StreamixWorkersRestarting": ({"imports"}, set()),
    "StreamixPollStalled": ({"feeds"}, set()),
    "StreamixRedisDisconnected": ({"stranded-1"}, set()),
    "StreamixPublishErrors": ({"stranded"}, set()),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Played to the end: every alert has fired, or has had its time to."""
    with Scene(tmp_path_factory.mktemp("scene")) as scene:
        scene.play()
        deadline = time.monotonic() + _ALL_FIRING_WITHIN_S
        while set(scene.firing()) != set(ALERTS) and time.monotonic() < deadline:
            time.sleep(0.5)
        scene.ended = time.time()
        yield scene


def culprit(labels: dict[str, str]) -> str:
    return labels.get("group") or labels.get("instance") or labels["job"]


# --- alerts --------------------------------------------------------------------------------------


def test_every_alert_has_a_fault_that_sets_it_off() -> None:
    assert set(CULPRITS) == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_the_alert_fires_for_its_fault_and_for_nobody_else(alert: str, scene: Scene) -> None:
    known, understood = CULPRITS[alert]
    fired = {culprit(labels) for labels in scene.firing().get(alert, [])}

    assert known <= fired
    assert fired <= known | understood


def test_a_healthy_service_sets_off_nothing(scene: Scene) -> None:
    about_it = [
        labels
        for fired in scene.firing().values()
        for labels in fired
        if any(labels.get(key) == value for key, value in HEALTHY.items())
        # Its stream has a second group, which somebody has left behind, and which is named.
        and labels.get("group") != "abandoned"
    ]

    assert about_it == []
    (handled,) = scene.prometheus.query(
        'sum(increase(streamix_processed_messages_total{job="billing", outcome="ack"}[30s]))'
    )
    assert handled[1][0] > 500, "it had nothing to do, so its silence means nothing"


def test_dead_letters_of_each_kind_are_told_apart(scene: Scene) -> None:
    reasons = {labels["reason"] for labels in scene.firing()["StreamixDeadLettering"]}

    assert reasons == {"retries_exhausted", "rejected", "invalid", "malformed", "trimmed"}


def test_every_rule_is_evaluated_without_an_error(scene: Scene) -> None:
    groups = scene.prometheus.ask("rules", {})["groups"]

    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    assert {rule["name"] for group in groups for rule in group["rules"]} >= set(ALERTS)


def test_the_live_rules_are_the_committed_ones_but_for_time() -> None:
    assert set(LIMITS) <= set(ALERTS)
    for alert, rule in alerts().items():
        faster = sixty_times_faster(rule)
        without_time = re.compile(r"\[\w+\]|> \d+")
        assert without_time.sub("", faster["expr"]) == without_time.sub("", rule["expr"]), alert
        changed = {key for key in rule if faster[key] != rule[key]}
        assert changed <= {"expr", "for", "keep_firing_for"}


# --- dashboards ----------------------------------------------------------------------------------

TARGETS = list(targets())


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_the_panel_shows_something(target: Target, scene: Scene) -> None:
    series = target.ask(scene.prometheus, scene.began, scene.ended)

    values = [value for _, values in series for value in values if math.isfinite(value)]
    assert values, target.expr(60)
    if target.json["legendFormat"] == "{{error_type}}":
        assert any(labels.get("error_type") for labels, _ in series)
    unit = target.panel["fieldConfig"]["defaults"].get("unit")
    if unit == "bool_yes_no":
        assert set(values) <= {0.0, 1.0}
    if target.panel["fieldConfig"]["defaults"].get("min") == 0:
        assert min(values) >= 0


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_variables_offer_what_is_there(name: str, scene: Scene) -> None:
    offered = {
        variable["name"]: label_values(scene.prometheus, variable["query"]["query"])
        for variable in dashboard(name)["templating"]["list"]
        if variable["type"] == "query"
    }

    assert {"billing", "faulty", "shop"} <= set(offered["job"])
    assert {"billing-1", "faulty-1"} <= set(offered["instance"])
    assert {"orders", "payments", "invoices"} <= set(offered["stream"])
    assert {"billing", "payments", "invoicing"} <= set(offered["group"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_alerts_appear_on_the_graphs(name: str, scene: Scene) -> None:
    (annotation,) = dashboard(name)["annotations"]["list"]
    expr = annotation["expr"].replace("$stream", "payments").replace("$group", "payments")

    shown = scene.prometheus.query_range(expr, scene.began, scene.ended)
    names = {labels["alertname"] for labels, _ in shown}
    assert {"StreamixDeadLettering", "StreamixRedisDisconnected"} <= names
    assert "StreamixLagGrowing" not in names, "that is another group's"


EXEMPLARS = [target for target in TARGETS if target.json.get("exemplar")]


@pytest.mark.parametrize("target", EXEMPLARS, ids=[target.name for target in EXEMPLARS])
def test_the_dots_on_a_graph_lead_to_traces_that_were_exported(target: Target, scene: Scene) -> None:
    span = {"start": f"{scene.began:.3f}", "end": f"{scene.ended:.3f}"}
    found = scene.prometheus.ask("query_exemplars", {"query": target.expr(60), **span})

    shown = {each["labels"]["trace_id"] for series in found for each in series["exemplars"]}
    assert shown
    exported = scene.trace_ids()
    assert shown & exported
    # The last few seconds may still be waiting in the exporters of the services.
    assert len(shown - exported) <= len(shown) / 2


# --- names ---------------------------------------------------------------------------------------


def test_the_pages_show_the_catalogue_and_nothing_else(scene: Scene) -> None:
    seen: dict[str, set[str]] = {}
    for name in ("shop", "billing", "faulty", "successor", "stranded"):
        with urllib.request.urlopen(f"http://127.0.0.1:{scene.page(name)}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name.startswith("streamix_"):
                    metric = metric_of(sample.name)
                    assert metric is not None, sample.name
                    seen.setdefault(metric.name, set()).update(set(sample.labels) - {"le"})
                    assert set(sample.labels) - {"le"} == set(metric.labels), sample.name

    assert set(seen) == set(BY_NAME), f"never seen: {sorted(set(BY_NAME) - set(seen))}"
    assert len(CATALOGUE) == len(BY_NAME)
