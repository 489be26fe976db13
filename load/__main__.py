"""``python -m load SCENARIO``: measure. Without a scenario it lists them."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from load import report
from load.child import ChildFailed
from load.harness import Bench
from load.machine import ROOT
from load.results import Result, text
from load.scenarios import SCENARIOS
from load.server import SERVERS, running_server

_EPILOG = """
Start it on a quiet machine: another busy process changes every figure. The exit status is 1 if a
message was lost or came twice, or a contestant did not run; a bar that is not met is reported.

`python -m load.publish --help` loads a service of your own.
"""


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(
        prog="python -m load", description="Load tests of Streamix Queue.", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="scenario", metavar="SCENARIO")
    for name, module in SCENARIOS.items():
        command = commands.add_parser(
            name, help=(module.__doc__ or "").partition("\n")[0], description=module.QUESTION
        )
        module.add_options(command.add_argument_group("what to measure"))
        _add_common(command)
    every = commands.add_parser("all", help="All of them, one after the other, with their defaults.")
    every.add_argument(
        "--skip", nargs="+", choices=SCENARIOS, default=[], metavar="SCENARIO", help="leave out"
    )
    _add_common(every, repeats=3)
    writing = commands.add_parser("report", help="Write tables and pictures of results into a README.")
    writing.add_argument("directory", type=Path, metavar="DIR", help="where --json put them")
    writing.add_argument("--readme", type=Path, default=ROOT / "load" / "README.md", help="(%(default)s)")
    options = parser.parse_args(arguments)
    if options.scenario is None:
        parser.print_help()
        return 0
    if options.scenario == "report":
        return report.write(options.directory, options.readme)
    if options.scenario == "all":
        chosen = {name: module for name, module in SCENARIOS.items() if name not in options.skip}
        return max([_measure(name, module, _defaults(module), options) for name, module in chosen.items()])
    module = SCENARIOS[options.scenario]
    its_own = Namespace(**{name: getattr(options, name) for name in vars(_defaults(module))})
    return _measure(options.scenario, module, its_own, options)


def _add_common(command: ArgumentParser, repeats: int = 5) -> None:
    group = command.add_argument_group("how to measure")
    group.add_argument(
        "--repeats", type=int, default=repeats, help="rounds; contestants take turns (%(default)s)"
    )
    group.add_argument("--json", type=Path, metavar="DIR", help="also write DIR/SCENARIO.json")
    group.add_argument(
        "--server", choices=SERVERS, default="auto", help="auto: Redis 8, else what is embedded"
    )
    group.add_argument(
        "--no-pinning", action="store_true", help="leave it to the system which core does what"
    )
    group.add_argument("--deadline", type=float, default=600.0, metavar="S", help="for one run, seconds")


def _defaults(module: ModuleType) -> Namespace:
    parser = ArgumentParser()
    module.add_options(parser)
    return parser.parse_args([])


def _measure(name: str, module: ModuleType, chosen: Namespace, common: Namespace) -> int:
    with running_server(common.server, pinned=not common.no_pinning) as server:
        bench = Bench(server, common.repeats, pinned=not common.no_pinning, deadline_s=common.deadline)
        try:
            result: Result = module.run(bench, chosen)
        except ChildFailed as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
    result.parameters["repeats"] = common.repeats
    print(text(result), flush=True)
    if common.json:
        print(f"written: {result.save(common.json)}", file=sys.stderr)
    return 0 if result.sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
