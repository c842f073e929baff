"""Runs that others disturbed are repeated: options and rules of every group."""

import sys

DROPPED_ABOVE = 2  # times the limit of foreign CPU: a run that is worse is not in the tables


def add_options(parser):
    parser.add_argument("--repetitions", type=int, default=5, help="of each run, all others in between")
    parser.add_argument("--foreign", type=float, default=0.12, metavar="CORES",
                        help="a run is repeated when others used more of the machine than that")
    parser.add_argument("--repeats", type=int, default=2,
                        help="how often a run is repeated at most; all runs together a fifth of their number")


def names_of(known):
    """Reads names with commas in between."""
    def read(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise ValueError(name)
        return names
    read.__name__ = "name"
    return read


class Repeats:
    """How often may still be repeated, in a measurement of so many runs."""

    def __init__(self, options, total):
        self.options = options
        self.left = total // 5  # in all, so that a busy machine does not make it endless

    def best_of(self, run, what):
        """The least disturbed of some runs; None if none came to its end. run() throws RuntimeError."""
        best = None
        for attempt in range(1 + self.options.repeats):
            if attempt > 0:
                if self.left == 0:
                    break
                self.left -= 1
            try:
                result = run()
            except RuntimeError as error:
                print(f"   {what}: {error}", file=sys.stderr)
                continue
            if best is None or result["foreign_cores"] < best["foreign_cores"]:
                best = result
            best["attempts"] = attempt + 1
            if best["foreign_cores"] <= self.options.foreign:
                break
        if best is not None:
            best["kept"] = best["foreign_cores"] <= self.options.foreign * DROPPED_ABOVE
        return best


def rotated(programs, repetition):
    """So that none is always the first."""
    shift = repetition % len(programs)
    return programs[shift:] + programs[:shift]


def undisturbed(runs):
    """Those that were not disturbed; all if there is no such."""
    return [run for run in runs if run["kept"]] or runs
