"""The program's help, its small commands, and wrong command lines."""

import unittest

from _magpie import Server, main, run, run_json

COMMANDS = ("demo", "serve", "load", "bench", "config", "doctor")


class Help(unittest.TestCase):
    def test_help_names_the_commands_and_the_statuses(self):
        text = run("--help", check=0).stdout
        for word in (*COMMANDS, "Exit status"):
            self.assertIn(word, text)

    def test_each_command_has_help_with_examples(self):
        for command in COMMANDS:
            done = run(command, "--help", check=0)
            self.assertIn("--json", done.stdout, command)
            self.assertEqual(done.stderr, "")
            if command != "doctor":
                self.assertIn(f"\n  magpie {command}", done.stdout)

    def test_version(self):
        self.assertRegex(run("--version", check=0).stdout, r"^magpie \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_one_sentence_that_leads_to_the_help(self):
        for arguments in ((), ("nothing",), ("demo", "--nothing"), ("demo", "--requests", "0"), ("demo", "--workers", "-1"),
                          ("demo", "--backend", "kqueue"), ("serve", "--protocol", "ftp"), ("bench", "nothing"),
                          ("serve", "--idle-timeout", "soon")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(done.stdout, "", arguments)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn("--help", done.stderr)


class Small(unittest.TestCase):
    def test_doctor(self):
        text = run("doctor", check=0).stdout
        for word in ("kernel", "io_uring", "workers", "NUMA nodes", "open files"):
            self.assertIn(word, text)

    def test_doctor_as_json(self):
        import json
        report = json.loads(run("doctor", "--json", check=0).stdout)
        self.assertTrue(report["ok"])
        self.assertIsInstance(report["advice"], list)

    def test_bench(self):
        report = run_json("bench", "spawn")
        result = report["results"][0]
        self.assertGreater(result["ns_per_operation"], 0)
        self.assertAlmostEqual(result["ratio"], result["ns_per_operation"] / result["reference_ns_per_operation"])

    def test_bench_of_everything(self):
        done = run("bench", "--rounds", 1)
        self.assertIn(done.returncode, (0, 1))  # 1: the poll backend has no nop
        for group in ("nop", "timer", "spawn", "echo"):
            self.assertIn(f"  {group} ", done.stdout)

    def test_an_idle_server_uses_no_cpu(self):
        import time
        with Server() as server:
            time.sleep(0.5)  # it may have things to set up
            before = server.cpu_ticks()
            time.sleep(4)
            two_permille = 2  # of 4 s, in ticks of 10 ms: half of what is allowed
            self.assertLessEqual(server.cpu_ticks() - before, two_permille)


if __name__ == "__main__":
    main()
