"""`streamix health`: for a probe that runs a command inside of the container."""

from __future__ import annotations

import http.client
import json
import os
from urllib.parse import urlsplit

import click

from streamix_queue.cli.shared.exits import Exit
from streamix_queue.cli.shared.options import examples
from streamix_queue.cli.shared.output import printable, write

__all__ = ["health"]

_DEFAULT_PORT = "9464"
_MAX_BODY = 65_536


@click.command(
    epilog=examples("streamix health --live", "streamix health --ready --url http://127.0.0.1:9000")
)
@click.option("--live", "what", flag_value="livez", help="Does it make progress? A restart would mend it.")
@click.option("--ready", "what", flag_value="readyz", help="Does it take messages?  [default]")
@click.option(
    "--url",
    metavar="URL",
    envvar="STREAMIX_HEALTH_URL",
    default=lambda: f"http://127.0.0.1:{_port()}",
    show_default="this machine, port STREAMIX_METRICS_PORT or 9464",
    show_envvar=True,
    help="Where the consumer serves: the metrics_port that it was given.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 60, min_open=True),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Wait so long, in seconds.",
)
def health(*, what: str | None, url: str, timeout: float) -> int:
    """Ask a running consumer whether it is well.

    Exit code 0 says yes, and 1 no, with the reason; nobody there is a no. For the exec probe of a
    container, and for a consumer that serves its metrics on a port (metrics_port).
    """
    well, said = _ask(url, what or "readyz", timeout)
    write(said)
    return Exit.OK if well else Exit.CONDITION


def _port() -> str:
    # Kubernetes makes variables of a Service's name: of one called streamix-metrics this, a URL.
    port = os.environ.get("STREAMIX_METRICS_PORT", "")
    return port if port.isascii() and port.isdecimal() else _DEFAULT_PORT


def _ask(url: str, path: str, timeout: float) -> tuple[bool, str]:
    try:
        place = urlsplit(url)
        host, port = place.hostname, place.port or 80
    except ValueError:
        host, port, place = None, 0, urlsplit("")
    if place.scheme != "http" or not host:
        raise _no_url()
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        body = answer.read(_MAX_BODY)
    except UnicodeError:
        raise _no_url() from None  # a host name that cannot be encoded
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer from {host}:{port}: {_clean(str(error) or type(error).__name__)}"
    finally:
        connection.close()
    if answer.status == 200:
        return True, "ok"
    return False, _problems(body) or f"{host}:{port} answers with status {answer.status}"


def _no_url() -> click.BadParameter:
    return click.BadParameter("expected a URL such as http://127.0.0.1:9464", param_hint="--url")


def _problems(body: bytes) -> str:
    """What the checks that fail say, on one line."""
    try:
        checks = json.loads(body)["checks"]
        failing = [f"{name}: {', '.join(map(str, why))}" for name, why in checks.items() if why != "ok"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    return _clean("; ".join(failing))


def _clean(text: str) -> str:
    return printable(text)[:1000]
