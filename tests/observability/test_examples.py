"""The examples that a user copies: they fit each other, and what the code exports."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from streamix_queue.cli.root import VERBS, streamix
from streamix_queue.local_server.process import OwnedProcess
from streamix_telemetry import trace_names
from streamix_telemetry.catalogue import OUTCOMES
from tests.observability.reference import README, TABLES, section
from tests.observability.repository import PROMETHEUS, REPO
from tests.support.servers import Server

TELEMETRY = REPO / "telemetry"
COMPOSE = yaml.safe_load((TELEMETRY / "compose.yaml").read_text(encoding="utf-8"))
COLLECTOR = yaml.safe_load((TELEMETRY / "otel" / "collector.yaml").read_text(encoding="utf-8"))


# --- compose -------------------------------------------------------------------------------------


def test_every_file_that_compose_mounts_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (TELEMETRY / source).exists(), source


def test_compose_listens_on_this_machine_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_names_versions_and_not_whatever_is_newest() -> None:
    for service in COMPOSE["services"].values():
        assert re.search(r":v?\d+\.\d+", service["image"]), service["image"]


def test_the_services_find_each_other() -> None:
    text = yaml.safe_dump(COMPOSE) + yaml.safe_dump(COLLECTOR) + COMPOSE["configs"]["scrape"]["content"]
    text += (REPO / "grafana/provisioning/datasources/streamix.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:://|endpoint: |- )([a-z]+):\d{4}", text))

    assert named == {"collector", "prometheus", "redis", "tempo"}
    assert named <= set(COMPOSE["services"])


def test_compose_lets_prometheus_load_the_rules_and_grafana_the_dashboards() -> None:
    scrape = yaml.safe_load(COMPOSE["configs"]["scrape"]["content"])
    provider = yaml.safe_load((REPO / "grafana/provisioning/dashboards/streamix.yaml").read_text())

    mounted = [service.get("volumes", []) for service in COMPOSE["services"].values()]
    targets = {volume.split(":")[1] for volumes in mounted for volume in volumes if "/" in volume}
    assert Path(scrape["rule_files"][0]).parent.as_posix() in targets
    assert provider["providers"][0]["options"]["path"] in targets
    port = COMPOSE["services"]["example"]["environment"]["METRICS_PORT"]
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == [f"example:{port}"]


def test_exemplars_open_their_trace_in_a_source_that_is_there() -> None:
    text = (REPO / "grafana/provisioning/datasources/streamix.yaml").read_text(encoding="utf-8")
    sources = {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}

    (link,) = sources["streamix-prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert link == {"name": "trace_id", "datasourceUid": "streamix-tempo"}
    assert sources[link["datasourceUid"]]["type"] == "tempo"
    back = sources["streamix-tempo"]["jsonData"]["tracesToMetrics"]
    assert back["datasourceUid"] in sources
    assert {tag["key"] for tag in back["tags"]} == {trace_names.DESTINATION, trace_names.GROUP}


# --- collector -----------------------------------------------------------------------------------


def test_the_pipelines_of_the_collector_use_what_is_defined_and_nothing_is_left_over() -> None:
    used: dict[str, set[str]] = {}
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used.setdefault(kind, set()).update(names)

    assert used == {kind: set(COLLECTOR[kind]) for kind in ("receivers", "processors", "exporters")}


def test_the_sampling_looks_at_attributes_that_spans_have() -> None:
    policies = COLLECTOR["processors"]["tail_sampling"]["policies"]
    ours = {value for name, value in vars(trace_names).items() if name.isupper() and isinstance(value, str)}
    asked: dict[str, Any] = {}
    for policy in policies:
        details = policy[policy["type"]]
        if "key" in details:
            asked[details["key"]] = details.get("values", ())
        for condition in details.get("span", ()):
            asked |= dict.fromkeys(re.findall(r'attributes\["([^"]+)"\]', condition), ())

    assert set(asked) == {
        trace_names.ATTEMPT,
        trace_names.OUTCOME,
        trace_names.REDELIVERY_CAUSE,
        trace_names.QUEUE_TIME,
    }
    assert set(asked) <= ours
    assert set(asked[trace_names.OUTCOME]) <= set(OUTCOMES)
    assert set(asked[trace_names.REDELIVERY_CAUSE]) == {"retry", "reclaim", "restart", "replay"}


def test_the_sampling_agrees_with_the_service_level_on_what_is_slow() -> None:
    policies = {policy["name"]: policy for policy in COLLECTOR["processors"]["tail_sampling"]["policies"]}
    (condition,) = policies["waited-too-long"]["ottl_condition"]["span"]

    assert condition.endswith("> 5.0")
    assert 'le="5.0"' in (PROMETHEUS / "rules" / "queue-time.yml").read_text(encoding="utf-8")


# --- the example service ------------------------------------------------------------------------


def test_the_example_service_publishes_consumes_and_shows_it(any_server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    variables = {
        "REDIS_URL": any_server.url,
        "METRICS_PORT": str(port),
        "OTEL_TRACES_EXPORTER": "none",
        "PYTHONPATH": f"{REPO}:{TELEMETRY}",
    }
    log = tmp_path / "log"
    process = OwnedProcess(
        [
            "/usr/bin/env",
            *(f"{key}={value}" for key, value in variables.items()),
            sys.executable,
            str(TELEMETRY / "example.py"),
        ],
        log=log,
        death_signal=signal.SIGKILL,
        thread_name="example",
    )
    try:
        acked = re.compile(r'^streamix_processed_messages_total\{.*outcome="ack".*\} [1-9]', re.MULTILINE)
        deadline = time.monotonic() + 20
        while not acked.search(_page(port)):
            assert time.monotonic() < deadline, log.read_text()
            assert not process.exited, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20), "it does not end when asked to"
        assert process.returncode == 0
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def _page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


# --- documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_in_the_readme_are_current(name: str) -> None:
    assert section(README.read_text(encoding="utf-8"), name) == TABLES[name](), (
        "python -m tests.observability.reference"
    )


PAGES = [*sorted((TELEMETRY / "runbooks").glob("*.md")), README, REPO / "grafana" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_in_documents_are_commands_that_there_are(page: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] != "streamix":
            continue
        assert words[1] in VERBS, line
        _parse(words[1:])


def _parse(words: list[str]) -> None:
    """Parse a command line as the command would, without running it."""
    command: click.Command = streamix
    context = click.Context(command, info_name="streamix")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_context(context.info_name, words, parent=context.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link
