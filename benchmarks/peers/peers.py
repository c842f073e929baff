#!/usr/bin/env python3
"""Measures magpie against its peers: `peers.py GROUP [options]`; `./dev bench peers` installs, builds and calls it.

A group is a folder here with a module group.py: SUMMARY, add_options(parser) and run(options, build), where build is
the build folder of the preset `release`.
"""

import argparse
import pathlib
import sys

import tails.group

ROOT = pathlib.Path(__file__).resolve().parents[2]
GROUPS = {"tails": tails.group}


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench peers", description="Measures magpie against its peers.")
    groups = parser.add_subparsers(dest="group", required=True, metavar="GROUP")
    for name, group in GROUPS.items():
        options = groups.add_parser(name, help=group.SUMMARY, description=group.SUMMARY,
                                    formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        options.add_argument("--output", type=pathlib.Path, default=f"build/bench/peers/{name}", metavar="FOLDER",
                             help="where the results go")
        group.add_options(options)
    chosen = parser.parse_args(arguments)
    chosen.output.mkdir(parents=True, exist_ok=True)
    return GROUPS[chosen.group].run(chosen, ROOT / "build/release")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("peers: interrupted; the repetitions that were complete are in results.json")
