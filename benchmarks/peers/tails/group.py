"""What light requests wait while heavy ones are in the way: magpie, with rescue and without, and servers of peers."""

import resource
import subprocess

import building
import machine
import repeating
from tails import plots, runs, servers, tables
from tails.scenarios import SCENARIOS

SUMMARY = "the latency of light requests while heavy ones are in the way"
OVERHEAD = 0.9  # seconds a run needs beside those that are measured


def add_options(parser):
    parser.add_argument("--seconds", type=float, default=4, help="of each run")
    repeating.add_options(parser)
    parser.add_argument("--servers", type=repeating.names_of(servers.KINDS), default=list(servers.KINDS),
                        metavar="NAME,...", help="which")
    parser.add_argument("--scenarios", type=repeating.names_of(SCENARIOS), default=list(SCENARIOS), metavar="NAME,...",
                        help="which")
    parser.add_argument("--slice-us", type=float, default=100,
                        help="the client's time slice, except in closed loops; 0: the scheduler's own")


def choose(options, skipped):
    chosen = []
    for name in options.scenarios:
        obstacle = SCENARIOS[name].obstacle()
        if obstacle:
            skipped.append(f"{name}: {obstacle}")
            print(f"   {name} is skipped: {obstacle}", flush=True)
        else:
            chosen.append(SCENARIOS[name])
    return chosen


def measure(options, build, save):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    subprocess.run(["cmake", "--build", build, "--target", "magpie_peer_tails_client"], check=True,
                   stdout=subprocess.DEVNULL)
    ready, skipped = building.prepare([servers.KINDS[name](build) for name in options.servers])
    scenarios = choose(options, skipped)
    seconds = sum(options.seconds * scenario.stretch + OVERHEAD for scenario in scenarios)
    minutes = seconds * len(ready) * options.repetitions / 60
    print(f"== {len(ready)} servers, {len(scenarios)} scenarios, {options.repetitions} repetitions: about "
          f"{minutes:.0f} min, and more if runs are disturbed", flush=True)
    document = {"machine": machine.describe(), "seconds": options.seconds, "slice_us": options.slice_us,
                "foreign_limit": options.foreign, "skipped": skipped,
                "versions": {server.name: server.version() for server in ready}, "runs": []}

    def keep(so_far):
        document["runs"] = so_far
        save(document)

    runs.Runner(ready, scenarios, options, build / "peers/tails_client", keep).run()
    return document


def report(document):
    return tables.report(document, SCENARIOS.values())


def draw(document, folder):
    for name, scenario in SCENARIOS.items():
        if any(run["scenario"] == name for run in document["runs"]):
            plots.draw(document, scenario, folder / f"{name}.png")
