"""What tasks cost: magpie, built by both compilers, and the same programs over its peers."""

import building
import machine
import repeating
from scheduler import plots, runs, tables, twins
from scheduler.rows import NAMES, ROWS

SUMMARY = "what tasks cost: forks, spawns, turns, channels, wake-ups, memory"


def add_options(parser):
    repeating.add_options(parser)
    parser.add_argument("--seconds", type=float, default=30, help="that a run may take at most; else it is left out")
    parser.add_argument("--rows", type=repeating.names_of(NAMES), default=list(NAMES), metavar="NAME,...", help="which")
    parser.add_argument("--workers", type=repeating.names_of(("1", "2")), default=["1", "2"], metavar="N,...",
                        help="how many: 1, 2 or both")
    parser.add_argument("--only", type=str, action="append", choices=list(twins.KINDS), metavar="NAME",
                        help=f"this runtime, and no other that is not named so too ({'; '.join(twins.KINDS)})")
    parser.add_argument("--peers-only", action="store_true", help="without magpie")


def chosen_twins(options):
    names = options.only or list(twins.KINDS)
    return [twins.KINDS[name] for name in names if not (options.peers_only and twins.KINDS[name].ours)]


def measure(options, build, save):
    options.chosen = [row for row in ROWS if row.name in options.rows]
    ready, skipped = building.prepare([kind(build) for kind in chosen_twins(options)])
    document = {"machine": machine.describe(), "foreign_limit": options.foreign, "skipped": skipped,
                "versions": {twin.name: twin.version() for twin in ready}, "runs": []}

    def keep(so_far):
        document["runs"] = so_far
        save(document)

    runner = runs.Runner(ready, options, skipped, keep)
    print(f"== {runner.total} runs of {len(ready)} runtimes, and more if some are disturbed", flush=True)
    runner.run()
    return document


def report(document):
    return tables.report(document, ROWS)


def draw(document, folder):
    plots.draw(document, ROWS, folder / "scheduler.png")
