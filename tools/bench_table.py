#!/usr/bin/env python3
"""The results of Google Benchmark programs as one Markdown table a program.

bench_table.py FILE.json...    prints to the standard output

Time and CPU are per iteration; a counter per_<item> is the time of one item, and shows the CPU time of one behind it.
CPU is that of all threads of the process, and left out where only the main thread's was measured. With
--benchmark_repetitions=N each figure is the median of N, and the spread is that of the time: from the least to the
greatest, in percent of the median.
"""

import json
import pathlib
import statistics
import sys

TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# What Google Benchmark adds to a name to say how it measured.
MODES = ("process_time", "real_time", "manual_time", "iterations:", "repeats:", "min_time:")
# Keys of a result that are no counters.
OWN_KEYS = {
    "name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index",
    "threads", "iterations", "real_time", "cpu_time", "time_unit", "label", "error_occurred", "error_message",
    "aggregate_name", "aggregate_unit",
}


def significant(value):
    """Three digits: 1.23, 45.6, 789, 12340."""
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e" in text and abs(value) >= 1 else text


def seconds(value):
    for unit, size in reversed(TIME_UNITS.items()):
        if abs(value) >= size:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value / 1e-9)} ns" if value else "0"


def number(value):
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return significant(value / (1e3 if letter == "k" else size)) + " " + letter
    return significant(value)


class Row:
    """All repetitions of one benchmark."""

    def __init__(self, run_name, runs):
        parts = run_name.split("/")
        self.name = "/".join(part for part in parts if not part.startswith(MODES))
        self.whole_process = "process_time" in parts
        self.runs = [run for run in runs if not run.get("error_occurred")]
        self.error = next((run["error_message"] for run in runs if run.get("error_occurred")), None)

    def times(self, key):
        return [run[key] * TIME_UNITS[run["time_unit"]] for run in self.runs]

    def spread(self):
        times = self.times("real_time")
        middle = statistics.median(times)
        return f"{100 * (max(times) - min(times)) / middle:.0f} %" if len(times) > 1 and middle else ""

    def counter(self, key):
        middle = statistics.median(run[key] for run in self.runs)
        if not key.startswith("per_"):
            return f"{key} {number(middle)}"
        text = f"{key} {seconds(middle)}"
        if self.whole_process:
            cpu = statistics.median(
                run[key] * run["cpu_time"] / run["real_time"] for run in self.runs if run["real_time"])
            text += f" (CPU {seconds(cpu)})"
        return text

    def cells(self):
        if not self.runs:
            return [self.name, "failed", "", self.error or "", "", "0"]
        counters = [key for key in self.runs[0] if key not in OWN_KEYS]
        return [
            self.name,
            seconds(statistics.median(self.times("real_time"))),
            seconds(statistics.median(self.times("cpu_time"))) if self.whole_process else "",
            ", ".join(self.counter(key) for key in counters),
            self.spread(),
            str(len(self.runs)),
        ]


def rows(results):
    """Single runs, by name; where only aggregates were kept, their medians."""
    runs = [run for run in results if run.get("run_type") != "aggregate"]
    runs = runs or [run for run in results if run.get("aggregate_name") == "median"]
    by_name = {}
    for run in runs:
        by_name.setdefault(run.get("run_name", run["name"]), []).append(run)
    return [Row(name, of_name) for name, of_name in by_name.items()]


def table(title, document):
    context = document["context"]
    load = ", ".join(f"{value:.1f}" for value in context.get("load_avg", []))
    yield f"## {title}"
    yield ""
    machine = context.get("machine", context.get("host_name", "unknown machine"))
    yield f"{machine}; {context['date']}; load {load or 'unknown'}"
    yield ""
    yield "| benchmark | time | CPU | counters | spread | n |"
    yield "|---|---:|---:|---|---:|---:|"
    for row in rows(document["benchmarks"]):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |"
    yield ""


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    for argument in arguments:
        path = pathlib.Path(argument)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            print("\n".join(table(path.stem, document)))
        except (OSError, ValueError, KeyError) as error:
            print(f"bench_table: {path}: not the JSON of a benchmark: {error!r}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
