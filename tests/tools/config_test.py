"""magpie config, and what every command makes of a configuration that cannot be used."""

import json
import os
import subprocess

from _magpie import PROGRAM, ConfigFile, Server, main, run


def clean_environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith("MAGPIE_")}, **more}


def run_clean(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False,
                          env=clean_environment(**environment))


class Config(ConfigFile):
    def test_a_sound_file(self):
        done = run_clean("config", "--check", self.write("[runtime]\nworkers = 2\n"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("ok", done.stdout)

    def test_a_wrong_file(self):
        wrong = {"[runtime]\nwokers = 2\n": ("2:1", "wokers", "workers"),
                 "[runtime]\n  workers = 'many'\n": (":2:", "runtime.workers", "many"),
                 "[runtime]\nworkers = 5000\n": (":2:", "runtime.workers", "5000", "1024"),
                 "[runtime]\nspin = '1 parsec'\n": (":2:", "runtime.spin"),
                 "[io]\nbackend = 'kqueue'\n": (":2:", "io.backend", "io_uring"),
                 "[nothing]\n": (":1:", "nothing"),
                 "[runtime\n": (":1:",)}
        for text, words in wrong.items():
            path = self.write(text)
            done = run_clean("config", "--check", path)
            self.assertEqual(done.returncode, 2, text)
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            for word in (path, *words):
                self.assertIn(word, done.stderr)

    def test_no_file(self):
        done = run_clean("config", "--check", self.path + ".not")
        self.assertEqual(done.returncode, 2)
        self.assertIn(self.path + ".not", done.stderr)

    def test_nothing_is_started_with_a_wrong_file(self):
        path = self.write("[runtime]\nwokers = 2\n")
        for command in (("demo",), ("serve", "--listen", "127.0.0.1:0"), ("load", "http://127.0.0.1:1/"),
                        ("bench", "spawn"), ("doctor",)):
            done = run_clean(*command, "--config", path)
            self.assertEqual(done.returncode, 2, command)
            self.assertEqual(done.stdout, "", command)
            self.assertIn(f"{path}:2:1", done.stderr, command)

    def test_the_error_as_json(self):
        done = run_clean("config", "--json", "--check", self.write("[runtime]\nwokers = 2\n"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("wokers", json.loads(done.stdout)["error"])

    def test_a_wrong_variable(self):
        for name, value in (("MAGPIE_RUNTIME_WORKERS", "many"), ("MAGPIE_RUNTIME_WOKERS", "2")):
            done = run_clean("demo", "--requests", "1", **{name: value})
            self.assertEqual(done.returncode, 2)
            self.assertIn(name, done.stderr)

    def test_explain_names_the_origins(self):
        path = self.write("[runtime]\nspin = '10us'\n")
        done = run_clean("config", "--explain", "--config", path, MAGPIE_RUNTIME_WORKERS="3")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, rf"(?m)^runtime\.spin .*{path}:2$")
        self.assertRegex(done.stdout, r"(?m)^runtime\.workers .*MAGPIE_RUNTIME_WORKERS")
        self.assertRegex(done.stdout, r"(?m)^runtime\.pin .*default")

    def test_explain_as_json(self):
        done = run_clean("config", "--explain", "--json", MAGPIE_RUNTIME_WORKERS="3")
        values = json.loads(done.stdout)
        self.assertEqual(values["runtime.workers"]["value"], "3")
        self.assertIn("MAGPIE_RUNTIME_WORKERS", values["runtime.workers"]["from"])

    def test_the_file_of_the_environment(self):
        path = self.write("[runtime]\nworkers = 3\n")
        done = run_clean("config", "--explain", MAGPIE_CONFIG=path)
        self.assertRegex(done.stdout, r"(?m)^runtime\.workers += 3 ")

    def test_the_example_is_sound(self):
        done = run_clean("config", "--example")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(run_clean("config", "--check", self.write(done.stdout)).returncode, 0)

    def test_what_is_said_on_the_command_line_wins(self):
        path = self.write("[runtime]\nworkers = 3\n")
        with Server("--config", path) as server:
            self.assertEqual(server.ready["workers"], 3)
        with Server("--config", path, "--workers", 1) as server:
            self.assertEqual(server.ready["workers"], 1)

    def test_usage(self):
        for arguments in (("--check",), ("--check", "x", "--explain"), ("--nothing",), ("what",)):
            self.assertEqual(run("config", *arguments).returncode, 2, arguments)


if __name__ == "__main__":
    main()
