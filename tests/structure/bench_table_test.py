#!/usr/bin/env python3
"""The table of benchmark results: medians, spread, CPU time, counters, and what went wrong."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "bench_table.py"


def run(real_time, cpu_time=1.0, unit="ms", name="work/workers:1/process_time/real_time", **more):
    return {"name": name, "run_name": name, "run_type": "iteration", "repetition_index": 0, "threads": 1,
            "iterations": 1, "real_time": real_time, "cpu_time": cpu_time, "time_unit": unit, **more}


def table(*runs):
    """The rows of the table, as lists of cells, and all that was printed."""
    context = {"date": "today", "load_avg": [0.5], "machine": "a machine"}
    document = {"context": context, "benchmarks": list(runs)}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "work.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        done = subprocess.run([sys.executable, str(SCRIPT), str(path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:], lines


class Table(unittest.TestCase):
    def test_one_run(self):
        rows, lines = table(run(12.0, 6.0, per_task=24e-9))
        self.assertEqual(rows, [["work/workers:1", "12 ms", "6 ms", "per_task 24 ns (CPU 12 ns)", "", "1"]])
        self.assertEqual(lines[0], "## work")
        self.assertEqual(lines[2], "a machine; today; load 0.5")

    def test_the_median_of_repetitions_and_their_spread(self):
        rows, _ = table(run(10.0, p50_us=1.0), run(30.0, p50_us=2.0), run(20.0, p50_us=9.0))
        self.assertEqual(rows[0][1:], ["20 ms", "1 ms", "p50_us 2", "100 %", "3"])

    def test_aggregates_are_not_runs(self):
        median = run(99.0) | {"run_type": "aggregate", "aggregate_name": "median"}
        self.assertEqual(table(run(10.0), run(20.0), median)[0][0][5], "2")

    def test_only_aggregates(self):
        kept = [run(value) | {"run_type": "aggregate", "aggregate_name": name}
                for name, value in (("mean", 1.0), ("median", 2.0), ("cv", 3.0))]
        self.assertEqual(table(*kept)[0], [["work/workers:1", "2 ms", "1 ms", "", "", "1"]])

    def test_the_cpu_time_of_the_main_thread_alone_is_not_shown(self):
        rows, _ = table(run(2500.0, 7.0, "ns", "work/real_time", per_task=5e-7, items_per_second=2.5e6))
        self.assertEqual(rows, [["work", "2.5 us", "", "per_task 500 ns, items_per_second 2.5 M", "", "1"]])

    def test_an_error_is_told(self):
        rows, _ = table(run(0.0, error_occurred=True, error_message="wrong result"))
        self.assertEqual(rows, [["work/workers:1", "failed", "", "wrong result", "", "0"]])

    def test_a_file_that_is_no_result(self):
        done = subprocess.run([sys.executable, str(SCRIPT), "/dev/null"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
