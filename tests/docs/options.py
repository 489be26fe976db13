"""What docstrings and the README say of the options: ``make options`` writes it anew."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from streamix_queue.core.config import ConsumerConfig, EventOptions, PublisherConfig, StreamConfig
from streamix_queue.core.options import Option, declared
from tests.docs.blocks import ROOT

__all__ = ["FILES", "written"]

README = ROOT / "README.md"
TABLES = {
    "options of a consumer": declared(ConsumerConfig),
    "options of an event": declared(EventOptions),
    "options of a publisher": {
        name: option
        for name, option in declared(PublisherConfig).items()
        if name not in declared(StreamConfig)
    },
}
"""The README's tables, by the marks around them."""

DOCSTRINGS = [
    (ROOT / "streamix_queue/consumer.py", "class Consumer:", ConsumerConfig),
    (ROOT / "streamix_queue/consumer.py", "    ) -> H | Callable[[H], H]:", EventOptions),
    (ROOT / "streamix_queue/publishing/publisher.py", "class Publisher:", PublisherConfig),
]
"""A file, the line before the docstring, and the options among its arguments."""

FILES = [README, *dict.fromkeys(path for path, _, _ in DOCSTRINGS)]
_WIDTH = 100
_TIMES = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1000, "ms": 1}


def written(path: Path) -> str:
    """The text of ``path``, with what it says of the options made anew."""
    text = path.read_text("utf-8")
    if path == README:
        for name, options in TABLES.items():
            text = _between(text, f"<!-- {name} -->\n", f"\n<!-- end of {name} -->", _table(options))
    for file, before, config in DOCSTRINGS:
        if file == path:
            text = _with_arguments(text, before, declared(config))
    return text


def _between(text: str, start: str, end: str, new: str) -> str:
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    assert found, f"no marks {start!r} and {end!r}"
    return f"{before}{start}{new}{end}{after}"


# --- docstrings -----------------------------------------------------------------------------------


def _with_arguments(text: str, before: str, options: Mapping[str, Option]) -> str:
    """The section ``Args:`` of the docstring after ``before``: what is no option stays, and stays first."""
    pattern = rf"^{re.escape(before)}\n.*?^( +)Args:\n(.*?)\n\n"
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    assert found is not None, before
    indent = found[1] + "    "
    entries = re.split(rf"\n(?={indent}\w+: )", found[2])
    kept = [entry for entry in entries if entry.strip().partition(":")[0] not in options]
    new = [_argument(option, indent) for option in options.values()]
    return text[: found.start(2)] + "\n".join([*kept, *new]) + text[found.end(2) :]


def _argument(option: Option, indent: str) -> str:
    return textwrap.fill(
        f"{option.name}: {option.meaning}",
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- the README -----------------------------------------------------------------------------------


def _table(options: Mapping[str, Option]) -> str:
    rows = ["| option | default | values | |", "|---|---|---|---|"]
    for option in options.values():
        values = _values(option) or "–"
        rows.append(f"| `{option.name}` | {_default(option)} | {values} | {_in_short(option)} |")
    return "\n".join(rows)


def _default(option: Option) -> str:
    default = option.default
    if isinstance(default, str):
        return f'`"{default}"`'
    if default in (None, ()):
        return f"`{default}`"
    in_words = f" ({_time(default)})" if option.kind == "time" else ""
    return f"{_grouped(str(default))}{in_words}"


def _values(option: Option) -> str:
    found = re.match(r"(\d+) to (\d+) ms", option.values)
    if found is not None:
        return f"{_time(int(found[1]))} to {_time(int(found[2]))}{option.values[found.end() :]}"
    return re.sub(r"'(\w+)'", r'`"\1"`', _grouped(option.values))


def _time(milliseconds: int) -> str:
    unit = next((unit for unit, size in _TIMES.items() if milliseconds and milliseconds % size == 0), "ms")
    return f"{milliseconds // _TIMES[unit]} {unit}"


def _grouped(text: str) -> str:
    return re.sub(r"\d{5,}", lambda found: f"{int(found[0]):,}".replace(",", " "), text)


def _in_short(option: Option) -> str:
    first = option.meaning.partition(". ")[0].removesuffix(".").replace(", ms", "")
    return re.sub(r"``?([^`]+)``?", r"`\1`", first)


def main() -> int:
    """Write them."""
    for path in FILES:
        path.write_text(written(path), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
