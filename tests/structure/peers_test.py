#!/usr/bin/env python3
"""The measurements against peers: which runs count, what the tables say of them, and that all twins know the rows."""

import argparse
import contextlib
import importlib.util
import io
import os
import pathlib
import re
import sys
import tempfile
import unittest

PEERS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
sys.path.insert(0, str(PEERS))

# pylint: disable=wrong-import-position
import building
import machine
import peers
import repeating
import scheduler.group
from scheduler import rows, runs, twins
from tails.scenarios import SCENARIOS

MACHINE = {"processor": "a processor", "cpus": 2, "kernel": "6", "compiler": "c", "commit": "abc", "date": "today"}


def run(twin, row, workers, ms, ops=1_000_000, kept=True, **more):
    return {"twin": twin, "row": row, "workers": workers, "ops": ops, "ms": ms, "cpu_ms": 2 * ms, "peak_mb": 8.0,
            "foreign_cores": 0.01, "kept": kept, "attempts": 1, "repetition": 0, **more}


def document(*runs):
    return {"machine": MACHINE, "skipped": ["oneTBB: it is not there"], "versions": {"magpie": "1", "go": "1.19"},
            "foreign_limit": 0.12, "seconds": 4, "slice_us": 100, "runs": list(runs)}


def cells(lines, title):
    """Of the first line of a table that begins so."""
    line = next(line for line in lines if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


FLAT = next(row.title for row in rows.ROWS if row.name == "flat1m")


class Scheduler(unittest.TestCase):
    def test_the_best_peer_and_medians(self):
        lines = list(scheduler.group.report(document(
            run("magpie", "flat1m", 1, 30.0), run("magpie", "flat1m", 1, 50.0), run("magpie", "flat1m", 1, 20.0),
            run("magpie", "flat1m", 2, 25.0), run("magpie, g++ 12", "flat1m", 2, 28.0),
            run("go", "flat1m", 1, 400.0), run("tokio", "flat1m", 1, 300.0), run("go", "flat1m", 2, 200.0))))
        self.assertEqual(cells(lines, FLAT), ["tokio 300 ms", "30.0 ms", "–", "35 ms",  #
                                              "go 200 ms", "25.0 ms", "28.0 ms", "30 ms"])
        self.assertEqual(cells(lines, "magpie"), ["1", "30.0 ms [20.0 ms – 50.0 ms]", "60.0 ms", "8.0 MB", "0.01", "3"])
        self.assertIn("Skipped: oneTBB: it is not there.", lines)

    def test_a_disturbed_run_counts_only_when_there_is_no_other(self):
        lines = list(scheduler.group.report(document(
            run("magpie", "flat1m", 1, 30.0), run("magpie", "flat1m", 1, 90.0, kept=False),
            run("go", "flat1m", 1, 400.0, kept=False))))
        self.assertEqual(cells(lines, FLAT)[:2], ["go 400 ms", "30.0 ms"])
        self.assertEqual(cells(lines, "go")[-1], "1 disturbed")

    def test_a_smaller_problem_is_scaled_and_says_nothing_of_memory(self):
        title, peak = ([row.title for row in rows.ROWS if row.name == "skynet10m"])
        lines = list(scheduler.group.report(document(
            run("magpie", "skynet10m", 1, 100.0, ops=11_111_111), run("go", "skynet10m", 1, 100.0, ops=1_111_111))))
        self.assertEqual(cells(lines, title)[:2], ["go ≈ 1000 ms", "100 ms"])
        self.assertEqual(cells(lines, peak)[:2], ["–", "8.00 MB"])

    def test_waits_cores_and_compilers(self):
        waits = {"p50_us": 4.25, "p99_us": 60.0, "max_us": 12_345.0}
        lines = list(scheduler.group.report(document(
            run("magpie", "wakeup", 1, 1500.0, **waits), run("magpie", "busy", 2, 2000.0, cpu_ms=2010.0),
            run("magpie", "idle", 2, 2000.0, cpu_ms=0.0), run("magpie", "hello", 0, 1800.0))))
        by_name = {row.name: row.title for row in rows.ROWS}
        self.assertEqual(cells(lines, by_name["wakeup"])[1], "4.25 µs")
        self.assertEqual(cells(lines, "magpie")[1:4], ["4.25 µs", "60.0 µs", "12.3 ms"])
        self.assertEqual(cells(lines, by_name["busy"])[5:6], ["1.00 cores"])
        self.assertEqual(cells(lines, by_name["idle"])[5:6], ["0.00 ms"])
        self.assertEqual(cells(lines, by_name["hello"])[1:2], ["1800 ms"])

    def test_every_table_is_a_table(self):
        everything = [run(twin, row.name, workers, 10.0, ops=row.ops or 1,
                          **({"p50_us": 1.0, "p99_us": 2.0, "max_us": 3.0} if row.figure is rows.WAIT else {}))
                      for twin in twins.KINDS for row in rows.ROWS for workers in row.workers]
        width = None
        for line in scheduler.group.report(document(*everything)):
            width = None if not line.startswith("|") else line.count("|") if width is None else width
            self.assertIn(width, (None, line.count("|")), line)

    def test_all_twins_know_only_rows_of_the_table(self):
        runnable = {row.name for row in rows.ROWS if not row.compiled}
        for source, pattern in (("magpie/twin.cpp", r'\{"(\w+)",\s*run_'), ("tbb/twin.cpp", r'\{"(\w+)",\s*run_'),
                                ("asio/twin.cpp", r'\{"(\w+)",\s*run_'), ("go/twin.go", r'^\t\{"(\w+)", '),
                                ("tokio/src/rows.rs", r'^    \("(\w+)", ')):
            found = set(re.findall(pattern, (PEERS / "scheduler" / source).read_text(encoding="utf-8"), re.M))
            self.assertTrue(found, source)
            self.assertLessEqual(found, runnable, source)
            if source.startswith("magpie"):
                self.assertEqual(found, runnable)


class Repeating(unittest.TestCase):
    def best_of(self, *foreign, total=10):
        """What becomes of runs with so much foreign CPU; None is one that fails."""
        left = list(foreign)

        def one():
            cores = left.pop(0)
            if cores is None:
                raise RuntimeError("failed")
            return {"foreign_cores": cores}

        options = argparse.Namespace(foreign=0.1, repeats=2)
        with contextlib.redirect_stderr(io.StringIO()):
            return repeating.Repeats(options, total).best_of(one, "a run"), left

    def test_a_quiet_run_is_not_repeated(self):
        best, left = self.best_of(0.05, 0.01)
        self.assertEqual((best, left), ({"foreign_cores": 0.05, "attempts": 1, "kept": True}, [0.01]))

    def test_the_least_disturbed_one_is_kept(self):
        best, _ = self.best_of(0.5, 0.3, 0.4)
        self.assertEqual(best, {"foreign_cores": 0.3, "attempts": 3, "kept": False})
        best, _ = self.best_of(0.5, None, 0.15)
        self.assertEqual(best, {"foreign_cores": 0.15, "attempts": 3, "kept": True})

    def test_nothing_comes_of_failures(self):
        self.assertEqual(self.best_of(None, None, None)[0], None)

    def test_repeats_are_bounded_in_all(self):
        best, left = self.best_of(0.5, 0.4, 0.3, total=5)
        self.assertEqual((best["attempts"], left), (2, [0.3]))

    def test_none_is_always_the_first(self):
        self.assertEqual([repeating.rotated(["a", "b", "c"], n)[0] for n in range(4)], ["a", "b", "c", "a"])

    def test_foreign_cores_are_a_number_of_cores(self):
        foreign = machine.Foreign()
        sum(range(1_000_000))
        self.assertLessEqual(0, foreign.cores())
        self.assertLessEqual(foreign.cores(), (os.cpu_count() or 1) + 1)


def tails_run(server, scenario, kept=True):
    times = {"count": 1000, "p50": 100.0, "p99": 900.0, "p999": 2000.0, "max": 12_000.0,
             "buckets": [[100.0, 900], [900.0, 99], [12_000.0, 1]]}
    return {"server": server, "scenario": scenario, "repetition": 0, "light": times, "heavy": times,
            "client_late": times, "per_second": 5000.0, "server_us_per_answer": 20.0, "client_cores": 0.1,
            "foreign_cores": 0.02, "unanswered": 0, "kept": kept, "attempts": 1}


class Program:
    def __init__(self, name, package=None):
        self.name, self.package = name, package

    def build(self):
        building.needs(self.package is None, self.package)


class Building(unittest.TestCase):
    def test_who_cannot_be_built_is_skipped_with_a_sentence(self):
        here, gone = Program("here"), Program("gone", "libgone-dev")
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(building.prepare([gone, here]),
                             ([here], ["gone: the Debian package libgone-dev is not installed"]))

    def test_a_row_that_fails_is_named_and_not_tried_again(self):
        class Failing:
            name = "go"
            tried = 0

            def rows(self):
                return ["flat1m"]

            def command(self, row, workers):
                self.tried += 1
                return ["/bin/false"]

        twin, skipped, saved = Failing(), [], []
        options = argparse.Namespace(foreign=9, repeats=0, repetitions=3, workers=["2"], seconds=5, chosen=rows.ROWS)
        with contextlib.redirect_stderr(io.StringIO()):
            runs.Runner([twin], options, skipped, saved.append).run()
        self.assertEqual(skipped, ["flat1m, go with 2: a run failed, or took more than 5 s"])
        self.assertEqual((twin.tried, saved), (1, [[], [], []]))


class Everything(unittest.TestCase):
    """The program, without measuring."""

    DOCUMENTS = {
        "tails": document(*(tails_run(server, scenario) for scenario in SCENARIOS
                            for server in ("magpie", "magpie without rescue", "go"))),
        "scheduler": document(run("magpie", "flat1m", 1, 30.0), run("go", "flat1m", 1, 400.0),
                              run("magpie", "idle", 2, 2000.0, cpu_ms=0.0)),
    }

    def test_tables_and_pictures_of_old_results(self):
        for name, group in peers.GROUPS.items():
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                results = pathlib.Path(folder) / "old.json"
                results.write_text(peers.json.dumps(self.DOCUMENTS[name]), encoding="utf-8")
                self.assertEqual(peers.main([name, "--output", folder + "/new", "--from", str(results)]), 0)
                summary = (pathlib.Path(folder) / "new/summary.md").read_text(encoding="utf-8")
                pictures = list((pathlib.Path(folder) / "new").glob("*.png"))
            self.assertIn("| go |", summary)
            self.assertTrue(pictures or importlib.util.find_spec("matplotlib") is None, group.SUMMARY)

    def test_a_name_that_nobody_has_is_refused(self):
        for arguments in (["scheduler", "--rows", "fib34,nonsense"], ["scheduler", "--workers", "3"],
                          ["scheduler", "--only", "nobody"], ["tails", "--servers", "nobody"], ["nonsense"]):
            with self.assertRaises(SystemExit) as refused, contextlib.redirect_stderr(io.StringIO()):
                peers.main(arguments)
            self.assertEqual(refused.exception.code, 2, arguments)


if __name__ == "__main__":
    unittest.main()
