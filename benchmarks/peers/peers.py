#!/usr/bin/env python3
"""Measures magpie against its peers: `peers.py GROUP [options]`; `./dev bench peers` installs, builds and calls it.

A group is a folder here with a module group.py:

    SUMMARY
    add_options(parser)
    measure(options, build, save)   builds, runs, gives the document with all results; `build` is the build folder
                                    of the preset `release`; save(document) keeps what there is so far
    report(document)                the lines of summary.md
    draw(document, folder)          pictures, by matplotlib
"""

import argparse
import json
import pathlib
import sys

import scheduler.group
import tails.group

ROOT = pathlib.Path(__file__).resolve().parents[2]
GROUPS = {"tails": tails.group, "scheduler": scheduler.group}


def draw(group, document, folder):
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("   no pictures: the Debian package python3-matplotlib is not installed")
        return
    group.draw(document, folder)


def run(group, options):
    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    if options.results:
        document = json.loads(options.results.read_text(encoding="utf-8"))
    else:
        document = group.measure(options, ROOT / "build/release", lambda so_far: (output / "results.json").write_text(
            json.dumps(so_far), encoding="utf-8"))
    text = "\n".join(group.report(document))
    (output / "summary.md").write_text(text + "\n", encoding="utf-8")
    draw(group, document, output)
    print(text)
    print(f"== results in {output}: results.json, summary.md and pictures")
    return 0 if document["runs"] else 1


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench peers", description="Measures magpie against its peers.")
    groups = parser.add_subparsers(dest="group", required=True, metavar="GROUP")
    for name, group in GROUPS.items():
        options = groups.add_parser(name, help=group.SUMMARY, description=group.SUMMARY,
                                    formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        options.add_argument("--output", type=pathlib.Path, default=f"build/bench/peers/{name}", metavar="FOLDER",
                             help="where the results go")
        options.add_argument("--from", dest="results", type=pathlib.Path, metavar="results.json",
                             help="measure nothing, make tables and pictures of these results")
        group.add_options(options)
    chosen = parser.parse_args(arguments)
    return run(GROUPS[chosen.group], chosen)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("peers: interrupted; the repetitions that were complete are in results.json")
