"""magpie demo: the main job."""

import json
import os
import signal
import subprocess
import unittest

from _magpie import PATIENCE, PROGRAM, main, run, run_json


class Demo(unittest.TestCase):
    def test_all_requests_are_answered(self):
        report = run_json("demo", "--requests", 2000)
        self.assertEqual(report["requests"], 2000)
        self.assertEqual(report["failures"], 0)
        self.assertEqual(report["errors"], {})
        self.assertGreater(report["throughput"], 0)
        self.assertEqual(sum(worker["requests"] for worker in report["workers"]), 2000)
        if os.environ.get("MAGPIE_IO_BACKEND") == "poll":
            self.assertEqual(report["backend"], "poll")

    def test_every_loop_works(self):
        # Enough requests that a loop which cannot take part shows; how they are shared out is nobody's promise.
        report = run_json("demo", "--requests", 30_000, "--workers", 2)
        self.assertEqual([worker["worker"] for worker in report["workers"]], [0, 1])
        for worker in report["workers"]:
            self.assertGreater(worker["requests"], 0)
            self.assertGreater(worker["completions"], 0)

    def test_one_worker(self):
        report = run_json("demo", "--requests", 2000, "--workers", 1)
        self.assertEqual(report["failures"], 0)
        self.assertEqual(len(report["workers"]), 1)

    def test_more_workers_than_processors(self):
        report = run_json("demo", "--requests", 2000, "--workers", 8, "--limit", 200)
        self.assertEqual(report["failures"], 0)
        self.assertEqual(len(report["workers"]), 8)

    def test_limits(self):
        for limit, connections in ((1, 1), (3, 2), (500, 100)):
            report = run_json("demo", "--requests", 1000, "--limit", limit, "--connections", connections)
            self.assertEqual((report["requests"], report["failures"]), (1000, 0))

    def test_for_people(self):
        done = run("demo", "--requests", 2000, check=0)
        for word in ("requests", "failures", "throughput", "p99.9", "worker"):
            self.assertIn(word, done.stdout)
        self.assertIn("2,000 of 2,000 (100%)", done.stderr)

    def test_ctrl_c_reports(self):
        process = subprocess.Popen([PROGRAM, "demo", "--requests", str(10**9)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        process.stdout.readline()  # it has begun
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("(interrupted)", output)

    def test_too_few_files(self):
        import resource
        done = run("demo", "--json", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
        self.assertEqual(done.returncode, 1)
        self.assertIn("ulimit", json.loads(done.stdout)["error"])


if __name__ == "__main__":
    main()
