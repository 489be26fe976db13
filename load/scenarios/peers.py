"""How do other libraries do, on the same server with the same message?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from load.harness import BARE, FLOOR, OURS, Bench, Contestant
from load.peers.catalogue import PEERS, Peer
from load.peers.environments import CannotInstall, Environment, prepare
from load.results import Bar, Result, Row
from load.scenarios.latency import measure_latency

QUESTION = "What do other libraries do on the same server with the same message?"
CONSUME, PUBLISH, P99 = "consume messages/s", "publish messages/s", "p99 ms"
STREAMIX = PEERS["streamix"].title


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", metavar="PEER", help=f"some of: {', '.join(PEERS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of messages (%(default)s)")
    parser.add_argument(
        "--rate", type=float, default=200.0, help="for the latency: messages a second (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for the latency: length; 0 for none (%(default)s)"
    )
    parser.add_argument("--prepare", action="store_true", help="only make the environments")


def run(bench: Bench, options: Namespace) -> Result:
    result = Result("peers", QUESTION, dict(vars(options)), floor=FLOOR, server=bench.server.version)
    contestants = []
    for peer in _chosen(options.only):
        row = result.row(peer.title, note=peer.settings, ours=peer.driver == OURS)
        try:
            environment = prepare(peer, bench.say)
        except CannotInstall as error:
            row.error = str(error)
            bench.say(f"peers  {peer.title}: {row.error}")
            continue
        _note_environment(result, peer, environment)
        contestant = Contestant(peer.title, peer.driver, environment.python, peer.options, peer.settings)
        contestants.append((peer, contestant))
    if options.prepare:
        return result
    by_name = {contestant.name: peer for peer, contestant in contestants}

    def measure(contestant: Contestant, row: Row) -> str:
        return _measure(bench, by_name[contestant.name], contestant, row, options)

    bench.rounds(result, [contestant for _, contestant in contestants], measure)
    _judge(result)
    return result


def _chosen(only: list[str] | None) -> list[Peer]:
    if unknown := sorted(set(only or ()) - set(PEERS)):
        raise SystemExit(f"unknown peers: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    # The floor and ours are in every table: the ratios mean nothing without them.
    return [peer for name, peer in PEERS.items() if not only or name in only or peer.driver in (OURS, BARE)]


def _note_environment(result: Result, peer: Peer, environment: Environment) -> None:
    result.parameters.setdefault("environments", {})[peer.title] = environment.described()


def _measure(bench: Bench, peer: Peer, contestant: Contestant, row: Row, options: Namespace) -> str:
    published = max(50, int(peer.published * options.scale))
    rate = bench.run(contestant, "publish", published)["per_second"]
    if peer.filled:
        # Fast ones would be through with what they publish one by one in a tenth of a second.
        bench.server.empty()
        waiting = max(50, int(peer.filled * options.scale))
        bench.run(contestant, "fill", waiting)
    else:
        waiting = published
    one = bench.run(contestant, "consume", waiting, warmup=waiting // 10)
    figures = {CONSUME: one["per_second"] or float("nan"), PUBLISH: rate}
    row.add(figures, messages=waiting, lost=one["lost"], duplicates=one["duplicates"])
    told = f"consume {figures[CONSUME]:>10,.0f}/s, publish {rate:>8,.0f}/s"
    if options.seconds > 0 and peer.latency:
        bench.server.empty()
        told += ", " + measure_latency(bench, contestant, row, options.rate, options.seconds)
    return told


def _judge(result: Result) -> None:
    result.bars.append(Bar("consume ≥ 1.0 × the bare loop", result.ratio(STREAMIX, FLOOR, CONSUME), 1.0))
    ardiq = PEERS["ardiq"].title
    if any(row.name == ardiq and row.figures for row in result.rows):
        value = result.ratio(STREAMIX, ardiq, CONSUME)
        result.bars.append(Bar("consume ≥ 8 × ardiq", value, 8.0))
        value = result.ratio(PEERS["streamix-spans"].title, ardiq, CONSUME)
        result.bars.append(Bar("consume with every span recorded ≥ 2 × ardiq", value, 2.0))
    theirs = [
        row.median(P99) for row in result.rows if not row.ours and row.name != FLOOR and P99 in row.figures
    ]
    if theirs:
        value = result.row(STREAMIX).median(P99) / min(theirs)
        result.bars.append(Bar("p99 below every peer's: ratio to the best of them", value, 1.0, at_most=True))
