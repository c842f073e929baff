"""What light requests wait while heavy ones are in the way: magpie, with rescue and without, and servers of peers."""

import json
import pathlib
import resource
import subprocess

import machine
from tails import plots, runs, servers, tables
from tails.scenarios import SCENARIOS

SUMMARY = "the latency of light requests while heavy ones are in the way"
OVERHEAD = 0.9  # seconds a run needs beside those that are measured


def names_of(known):
    def read(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise ValueError(name)
        return names
    read.__name__ = "name"
    return read


def add_options(parser):
    parser.add_argument("--seconds", type=float, default=4, help="of each run")
    parser.add_argument("--repetitions", type=int, default=5, help="of each run, all others in between")
    parser.add_argument("--servers", type=names_of(servers.KINDS), default=list(servers.KINDS), metavar="NAME,...",
                        help="which")
    parser.add_argument("--scenarios", type=names_of(SCENARIOS), default=list(SCENARIOS), metavar="NAME,...",
                        help="which")
    parser.add_argument("--foreign", type=float, default=0.12, metavar="CORES",
                        help="a run is repeated when others used more of the machine than that")
    parser.add_argument("--repeats", type=int, default=2,
                        help="how often a run is repeated at most; all runs together a fifth of their number")
    parser.add_argument("--slice-us", type=float, default=100,
                        help="the client's time slice, except in closed loops; 0: the scheduler's own")
    parser.add_argument("--from", dest="results", type=pathlib.Path, metavar="results.json",
                        help="measure nothing, make tables and pictures of these results")


def prepare(options, build):
    """Those servers that can be measured, and a sentence for each that cannot."""
    ready, skipped = [], []
    for name in options.servers:
        server = servers.KINDS[name](build)
        print(f"== building {name}", flush=True)
        try:
            server.build()
            ready.append(server)
        except servers.Missing as why:
            skipped.append(f"{name}: {why}")
            print(f"   {name} is skipped: {why}", flush=True)
    return ready, skipped


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


def measure(options, build):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    subprocess.run(["cmake", "--build", build, "--target", "magpie_peer_tails_client"], check=True,
                   stdout=subprocess.DEVNULL)
    ready, skipped = prepare(options, build)
    scenarios = choose(options, skipped)
    seconds = sum(options.seconds * scenario.stretch + OVERHEAD for scenario in scenarios)
    minutes = seconds * len(ready) * options.repetitions / 60
    print(f"== {len(ready)} servers, {len(scenarios)} scenarios, {options.repetitions} repetitions: about "
          f"{minutes:.0f} min, and more if runs are disturbed", flush=True)
    document = {"machine": machine.describe(), "seconds": options.seconds, "slice_us": options.slice_us,
                "foreign_limit": options.foreign, "skipped": skipped,
                "versions": {server.name: server.version() for server in ready}, "runs": []}

    def save(so_far):
        document["runs"] = so_far
        (options.output / "results.json").write_text(json.dumps(document), encoding="utf-8")

    runs.Runner(ready, scenarios, options, build / "peers/tails_client", save).run()
    return document


def draw(document, output):
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("   no pictures: the Debian package python3-matplotlib is not installed")
        return
    for name, scenario in SCENARIOS.items():
        if any(run["scenario"] == name for run in document["runs"]):
            plots.draw(document, scenario, output / f"{name}.png")


def run(options, build):
    if options.results:
        document = json.loads(options.results.read_text(encoding="utf-8"))
    else:
        document = measure(options, build)
    text = "\n".join(tables.report(document, SCENARIOS.values()))
    (options.output / "summary.md").write_text(text + "\n", encoding="utf-8")
    draw(document, options.output)
    print(text)
    print(f"== results: {options.output}/results.json, summary.md and a picture for each scenario")
    return 0 if document["runs"] else 1
