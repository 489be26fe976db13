"""`streamix config show`: every setting, and which of arguments, environment, file and defaults won."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from streamix_queue.cli.config.file import file_argument
from streamix_queue.cli.shared.options import examples, group_option, output_option, stream_options
from streamix_queue.cli.shared.output import Column, table
from streamix_queue.consumer import Consumer
from streamix_queue.core.redact import redact_url
from streamix_queue.publishing.publisher import Publisher
from streamix_queue.settings import FIELDS, Setting, Settings

__all__ = ["show"]

_COLUMNS = (Column("SETTING", "name"), Column("VALUE", "value"))
_ORIGIN = Column("ORIGIN", "origin", "dim")


@click.command(
    epilog=examples(
        "streamix config show --origin", "STREAMIX_DRAIN_TIMEOUT_MS=45s streamix config show -o json"
    )
)
@click.option("--origin", is_flag=True, help="Also show where each value comes from; JSON always does.")
@stream_options
@group_option("The consumer group.")
@output_option
@click.pass_context
def show(
    context: click.Context, origin: bool, redis_url: str, stream: str, group: str | None, output: str
) -> None:
    """Show every setting as it takes effect.

    An argument wins over the environment (STREAMIX_NAME; REDIS_URL, STREAM and GROUP, too), that
    over the file (--config or STREAMIX_CONFIG, else ./streamix.toml, else [tool.streamix] in
    ./pyproject.toml), that over the default: each setting by itself. Passwords are not shown.

    Exit code 2 says that a consumer or a publisher would refuse a value.

    The redis_url, stream and group hold for every command. An application gets all of it by
    streamix_queue.settings.Settings.load().
    """
    given = {"redis_url": redis_url, "stream": stream, "group": group}
    arguments = {
        name: value
        for name, value in given.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    settings = Settings.load(arguments, config=file_argument(context))
    records = [_record(name, setting) for name, setting in settings.effective().items()]
    table(output, (*_COLUMNS, _ORIGIN) if origin else _COLUMNS, records)
    # After the table: it shows where a value comes from that these refuse.
    Consumer(**settings.consumer_options())
    Publisher(**settings.publisher_options()).close()


def _record(name: str, setting: Setting) -> dict[str, Any]:
    value = setting.value
    if name == "redis_url":
        value = redact_url(value)
    elif value is not None and not isinstance(value, (str, int, float)):
        value = value.isoformat()
    field = FIELDS[name]
    return {
        "name": name,
        "value": value,
        "origin": setting.origin,
        "used_by": list(field.used_by),
        "environment": list(field.variables),
    }
