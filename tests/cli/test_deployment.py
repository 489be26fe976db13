"""The deployment examples: each command, option, variable, port, metric and time in them is real."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from streamix_queue import Consumer
from streamix_queue.cli.root import streamix as root
from streamix_queue.cli.shared.exits import Exit
from streamix_queue.settings import FIELDS, Settings
from streamix_telemetry.catalogue import BY_NAME
from tests.support.command import Running, streamix
from tests.support.servers import Server

Start = Callable[..., Running]
DEPLOY = Path(__file__).resolve().parents[2] / "telemetry" / "deploy"
SETTLING_MS = 10_000  # after the drain: the last acknowledgements, and the end of the process
SUPERVISOR_SILENT_S = 30  # what /livez allows


# --- reading them ---------------------------------------------------------------------------------


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions: name and the rest."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def of_docker(name: str) -> str:
    """The last instruction of that name, which is the one that counts."""
    return [rest for each, rest in dockerfile() if each == name][-1]


def kubernetes() -> dict[str, Any]:
    """Kind → object."""
    found = [each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if each]
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def pod() -> Any:
    return kubernetes()["Deployment"]["spec"]["template"]["spec"]


def container() -> Any:
    (only,) = pod()["containers"]
    return only


def unit() -> dict[str, list[str]]:
    """Directive → its values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "billing.service").read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def pairs(texts: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def environments() -> dict[str, dict[str, str]]:
    """What each of them sets for the service."""
    objects = kubernetes()
    return {
        "docker": pairs(shlex.split(of_docker("ENV"))),
        "kubernetes": {**objects["ConfigMap"]["data"], **objects["Secret"]["stringData"]},
        "systemd": pairs(unit()["Environment"]),
    }


def commands() -> dict[str, list[str]]:
    """Every command line in them."""
    health = re.sub(r"^(--\S+ )*CMD ", "", of_docker("HEALTHCHECK"))
    return {
        "docker": json.loads(of_docker("ENTRYPOINT")) + json.loads(of_docker("CMD")),
        "docker health": json.loads(health),
        "kubernetes": container()["command"],
        "systemd": shlex.split(unit()["ExecStart"][0]),
    }


def parse(arguments: list[str]) -> click.Context:
    """What the installed command makes of it; raises as the command would."""
    command: click.Command = root
    context = click.Context(root, info_name="streamix")
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        context = found.make_context(name, list(arguments), parent=context)
        command = found
    return context


# --- the commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [["rnu", "a:b"], ["run", "a:b", "--procs", "2"], ["run"]])
def test_a_command_that_does_not_exist_would_be_found(wrong: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong)


@pytest.mark.parametrize("name", commands())
def test_each_command_and_its_options_exist(name: str) -> None:
    program, *arguments = commands()[name]

    assert Path(program).name == "streamix"
    context = parse(arguments)
    if context.command.name == "run":
        assert context.params["targets"] == ("workers:consumer",)
    else:
        assert context.command.name == "health"


def test_no_shell_stands_between_the_signal_and_the_command() -> None:
    instructions = dockerfile()

    for name, rest in instructions:
        if name in ("RUN", "CMD", "ENTRYPOINT"):
            assert isinstance(json.loads(rest), list), name
    assert of_docker("STOPSIGNAL") == "SIGTERM"
    assert of_docker("USER") not in ("root", "0")
    assert pod()["securityContext"]["runAsUser"] == int(of_docker("USER"))
    copied = [rest.split()[0] for name, rest in instructions if name == "COPY"]
    assert all((DEPLOY / each).is_file() for each in copied)


@pytest.mark.parametrize("name", environments())
def test_each_variable_is_a_setting_and_its_value_is_accepted(name: str) -> None:
    known = {variable for field in FIELDS.values() for variable in field.variables}
    ours = {variable: value for variable, value in environments()[name].items() if "STREAMIX" in variable}

    assert ours
    assert set(ours) <= known
    assert all(isinstance(value, str) for value in ours.values()), "YAML would hand over a number"
    settings = Settings.load(environ=ours, cwd="/")
    Consumer(**settings.consumer_options())


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", environments())
def test_whoever_stops_it_waits_for_longer_than_the_drain(name: str) -> None:
    drain_ms = Settings.load(environ=environments()[name], cwd="/").effective()["drain_timeout_ms"].value
    stop_timeout = re.search(r"--stop-timeout (\d+)", (DEPLOY / "Dockerfile").read_text())
    assert stop_timeout is not None
    patience_s = {
        "docker": int(stop_timeout[1]),
        "kubernetes": pod()["terminationGracePeriodSeconds"],
        "systemd": int(unit()["TimeoutStopSec"][0]),
    }

    assert patience_s[name] * 1000 >= drain_ms + SETTLING_MS
    assert "lifecycle" not in container(), "a preStop hook would take its time out of that"


def test_the_watchdog_has_more_patience_than_the_probe() -> None:
    assert unit()["Type"] == ["notify"]
    assert unit()["NotifyAccess"] == ["main"]
    assert int(unit()["WatchdogSec"][0]) > SUPERVISOR_SILENT_S


def test_systemd_does_not_start_anew_what_cannot_come_up() -> None:
    assert unit()["Restart"] == ["on-failure"]
    assert set(map(int, unit()["RestartPreventExitStatus"][0].split())) == {Exit.USAGE, Exit.IMPORT}


# --- what refers to what --------------------------------------------------------------------------


def test_the_probes_ask_the_port_that_the_service_serves() -> None:
    data = kubernetes()["ConfigMap"]["data"]
    ports = {each["name"]: each["containerPort"] for each in container()["ports"]}
    annotations = kubernetes()["Deployment"]["spec"]["template"]["metadata"]["annotations"]

    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert ports[container()[name]["httpGet"]["port"]] == int(data["STREAMIX_METRICS_PORT"])
    assert container()["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container()["livenessProbe"]["httpGet"]["path"] == "/livez", "a restart ends no outage of Redis"
    assert container()["startupProbe"]["httpGet"]["path"] == "/livez"
    assert annotations["prometheus.io/port"] == data["STREAMIX_METRICS_PORT"]
    docker = environments()["docker"]
    assert of_docker("EXPOSE") == docker["STREAMIX_METRICS_PORT"]
    assert commands()["docker health"][-1] == f"http://127.0.0.1:{docker['STREAMIX_METRICS_PORT']}"
    for each in (data, docker):
        assert each["STREAMIX_METRICS_HOST"] == "0.0.0.0", "nobody could see the page from outside"
    assert pod()["enableServiceLinks"] is False


def test_each_object_finds_the_others() -> None:
    objects = kubernetes()
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    names = {kind: each["metadata"]["name"] for kind, each in objects.items()}

    assert objects["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert container()["envFrom"] == [
        {"configMapRef": {"name": names["ConfigMap"]}},
        {"secretRef": {"name": names["Secret"]}},
    ]
    assert objects["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == names["Deployment"]
    assert "replicas" not in objects["Deployment"]["spec"]
    assert "STREAMIX_REDIS_URL" not in objects["ConfigMap"]["data"], "it holds a password"


def test_the_scaler_asks_for_figures_that_there_are_of_the_group_that_runs() -> None:
    objects = kubernetes()
    data, scaled = objects["ConfigMap"]["data"], objects["ScaledObject"]["spec"]
    (trigger,) = scaled["triggers"]
    query = trigger["metadata"]["query"]

    asked = re.findall(r"(streamix_\w+)\{([^}]*)\}", query)
    assert {name for name, _ in asked} == set(re.findall(r"streamix_\w+", query))
    assert len(asked) == 2, "what nobody has read, and what is not settled"
    for name, labels in asked:
        assert {"stream", "group"} <= set(BY_NAME[name].labels)
        said = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert said == {"stream": data["STREAMIX_STREAM"], "group": data["STREAMIX_GROUP"]}
    assert scaled["minReplicaCount"] >= 1, "the consumers report the backlog"
    assert trigger["metadata"]["ignoreNullValues"] == "false"


# --- in real life ---------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.mark.parametrize("name", ["docker", "kubernetes", "systemd"])
def test_the_service_runs_as_deployed_and_is_well_by_its_own_probe(
    start: Start, any_server: Server, stream: str, name: str
) -> None:
    port = free_port()
    changed = {"STREAMIX_REDIS_URL": any_server.url, "STREAMIX_STREAM": stream}
    changed |= {"STREAMIX_METRICS_PORT": str(port), "STREAMIX_METRICS_HOST": "127.0.0.1"}
    env = {**environments()[name], **changed}
    command = start(*commands()[name][1:], cwd=DEPLOY, env=env)
    command.wait_for_err("consumer.started")
    any_server.client().xadd(stream, {"message": _ENVELOPE})
    command.wait_for_out("charged 7")
    _, *probe = commands()["docker health"]
    url = f"http://127.0.0.1:{port}"

    alive = streamix(*probe[:-1], url)
    ready = streamix("health", "--ready", "--url", url)
    command.send(signal.SIGTERM)

    assert (alive.code, ready.code) == (0, 0), alive.err + ready.err
    assert command.wait().code == 0
    assert streamix(*probe[:-1], url).code == Exit.CONDITION, "the probe can say no"


_ENVELOPE = json.dumps(
    {
        "id": "1",
        "event": "order.placed",
        "data": {"amount": 7},
        "retries": 0,
        "timestamps": {
            "created_at": "2026-11-24T08:00:00+00:00",
            "updated_at": "2026-11-24T08:00:00+00:00",
        },
    }
)
