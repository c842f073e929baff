"""magpie load: every request is counted, with how it ended."""

import json
import os
import re
import signal
import subprocess
import threading
import unittest

from _magpie import (PATIENCE, PROGRAM, ConfigFile, FakeServer, Server, closed_port, main, receive_until, run, run_json,
                     wait_until)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


def load(url, *arguments, check=0):
    return run_json("load", url, *arguments, check=check)


def answer_each(*answers, close=False):
    """Answers the requests of a connection with these, the last one again and again."""

    def answer(connection, _number):
        sent = 0
        while True:
            receive_until(connection, b"\r\n\r\n")
            connection.sendall(answers[min(sent, len(answers) - 1)])
            sent += 1
            if close:
                return

    return answer


def handles(pid, number):
    """Whether the process has a handler for the signal."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (number - 1) & 1 == 1


class Sound(unittest.TestCase):
    def test_against_serve(self):
        with Server() as server:
            report = load(server.url + "/", "--requests", 5000, "--limit", 32)
            served = server.stop()
        self.assertEqual(report["requests"], 5000)
        self.assertEqual(report["failures"], 0)
        self.assertEqual(report["errors"], {})
        self.assertGreater(report["throughput"], 0)
        self.assertFalse(report["interrupted"])
        latency = report["latency_us"]
        self.assertLessEqual(latency["min"], latency["p50"])
        self.assertLessEqual(latency["p50"], latency["p90"])
        self.assertLessEqual(latency["p90"], latency["p99"])
        self.assertLessEqual(latency["p99"], latency["p99.9"])
        self.assertLessEqual(latency["p99.9"], latency["max"])
        self.assertEqual(sum(worker["requests"] for worker in report["workers"]), 5000)
        self.assertEqual(served["requests"], 5000)
        self.assertLessEqual(served["connections"], 32)

    def test_the_limit_holds(self):
        with Server() as server:
            load(server.url + "/sleep?ms=5", "--requests", 200, "--limit", 7)
            self.assertLessEqual(server.stop()["most_connections"], 7)

    def test_fewer_connections_than_the_limit(self):
        with Server() as server:
            report = load(server.url + "/sleep?ms=1", "--requests", 300, "--limit", 50, "--connections", 3)
            self.assertEqual(report["failures"], 0)
            self.assertLessEqual(server.stop()["most_connections"], 3)

    def test_a_server_that_closes_each_connection(self):
        closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
        with FakeServer(answer_each(closing, close=True)) as server:
            report = load(server.url + "/", "--requests", 100, "--limit", 4)
        self.assertEqual((report["requests"], report["failures"]), (100, 0))

    def test_chunked_answers_and_ends_by_close(self):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        by_close = b"HTTP/1.1 200 OK\r\n\r\nabc"
        with FakeServer(answer_each(chunked)) as server:
            self.assertEqual(load(server.url, "--requests", 50)["failures"], 0)
        with FakeServer(answer_each(by_close, close=True)) as server:
            self.assertEqual(load(server.url, "--requests", 50, "--limit", 4)["failures"], 0)

    def test_for_a_time(self):
        with Server() as server:
            report = load(server.url, "--duration", "300ms", "--limit", 4)
            self.assertEqual(server.stop()["requests"], report["requests"])
        self.assertGreater(report["requests"], 0)
        self.assertEqual(report["failures"], 0)
        self.assertFalse(report["interrupted"])

    def test_a_name_for_a_host(self):
        with Server() as server:
            self.assertEqual(load(f"http://localhost:{server.port}/", "--requests", 10)["failures"], 0)

    def test_lengths_that_differ_may_be_right(self):
        answers = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (n, b"x" * n) for n in range(1, 6)]
        with FakeServer(answer_each(*answers)) as server:
            self.assertEqual(load(server.url, "--requests", 20, "--limit", 1, "--any-length")["failures"], 0)


class Failures(unittest.TestCase):
    def failing(self, report, kind, count, requests=None):
        self.assertEqual(report["errors"], {kind: count})
        self.assertEqual(report["failures"], count)
        self.assertEqual(report["requests"], requests or count)

    def test_refused(self):
        with closed_port() as port:
            report = load(f"http://127.0.0.1:{port}/", "--requests", 50, "--limit", 8, check=1)
        self.failing(report, "refused", 50)
        self.assertEqual(report["throughput"], 0)

    def test_reset(self):
        def reset(connection, _number):
            connection.recv(10)
            connection.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s

        with FakeServer(reset) as server:
            self.failing(load(server.url, "--requests", 20, "--limit", 4, check=1), "reset", 20)

    def test_closed_without_an_answer(self):
        with FakeServer(lambda connection, _: receive_until(connection, b"\r\n\r\n")) as server:
            self.failing(load(server.url, "--requests", 20, "--limit", 4, check=1), "closed", 20)

    def test_a_body_cut_short(self):
        with FakeServer(answer_each(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", close=True)) as server:
            self.failing(load(server.url, "--requests", 20, "--limit", 4, check=1), "short_body", 20)

    def test_a_wrong_status(self):
        with Server() as server:
            self.failing(load(server.url + "/nothing", "--requests", 20, check=1), "bad_status", 20)
            self.assertEqual(load(server.url + "/nothing", "--requests", 20, "--expect-status", 404)["failures"], 0)

    def test_a_wrong_length(self):
        with FakeServer(answer_each(OK, OK, OK, OK.replace(b"3", b"2")[:-1], OK)) as server:
            self.failing(load(server.url, "--requests", 9, "--limit", 1, check=1), "wrong_length", 1, requests=9)
        with Server() as server:
            self.failing(load(server.url, "--requests", 20, "--expect-length", 17, check=1), "wrong_length", 20)

    def test_no_http(self):
        with FakeServer(answer_each(b"SSH-2.0-OpenSSH_9.2p1\r\n", close=True)) as server:
            self.failing(load(server.url, "--requests", 20, "--limit", 4, check=1), "malformed", 20)

    def test_more_bytes_than_asked_for(self):
        with FakeServer(answer_each(OK + b"more", close=True)) as server:
            self.failing(load(server.url, "--requests", 20, "--limit", 4, check=1), "malformed", 20)

    def test_a_time_out(self):
        with Server() as server:
            report = load(server.url + "/sleep?ms=60000", "--requests", 10, "--timeout", "100ms", check=1)
            self.failing(report, "timeout", 10)
            server.process.kill()
            server.process.communicate()

    def test_one_failure_among_many(self):
        with FakeServer(answer_each(OK, OK, b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nabc", OK)) as server:
            self.failing(load(server.url, "--requests", 50, "--limit", 1, check=1), "bad_status", 1, requests=50)

    def test_an_unknown_host(self):
        done = run("load", "http://no-such-host.invalid/", check=1)
        self.assertEqual(done.stdout, "")
        self.assertIn("no-such-host.invalid", done.stderr)

    def test_usage(self):
        for arguments in ((), ("ftp://x/",), ("http://x/", "--limit", "0"), ("http://x/", "--requests", "many"),
                          ("http://x/", "--timeout", "0s"), ("http://x/", "--duration", "5"),
                          ("http://x/", "--expect-length", "1", "--any-length"), ("http://x:99999/",)):
            done = run("load", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_too_few_files(self):
        import resource
        done = run("load", "http://127.0.0.1:1/", "--limit", 5000,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500)))
        self.assertEqual(done.returncode, 1)
        self.assertIn("ulimit", done.stderr)


class Interrupted(unittest.TestCase):
    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, "load", *map(str, arguments)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def begun(self, server):
        """Requests have been answered, so that the client is in the midst of it."""
        def some():
            answer = server.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").decode()
            counts = re.findall(r'requests_total\{.*status="200"\} (\d+)', answer)
            return sum(map(int, counts)) > 1000
        wait_until(some, "answers")

    def test_ctrl_c_still_reports(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Server() as server:
                process = self.start(server.url + "/", "--requests", 10**9, "--limit", 16, "--json")
                self.begun(server)
                process.send_signal(number)
                report = json.loads(process.communicate(timeout=PATIENCE)[0])
                served = server.stop()
            self.assertEqual(process.returncode, 0)
            self.assertTrue(report["interrupted"])
            self.assertGreater(report["requests"], 500)  # of 1000, less those on their way and those that looked
            self.assertEqual(report["failures"], 0)
            answered_200 = served["statuses"]["200"]
            self.assertGreater(answered_200, report["requests"], "all of the client's, and those that looked")

    def test_ctrl_c_reports_for_people(self):
        with Server() as server:
            process = self.start(server.url + "/", "--duration", "1h")
            self.begun(server)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=PATIENCE)
        self.assertIn("(interrupted)", output)
        self.assertIn("p99.9", output)

    def test_the_second_ctrl_c_kills(self):
        with Server() as server:
            process = self.start(server.url + "/sleep?ms=60000", "--timeout", "1h")
            wait_until(lambda: server.descriptors() > 60, "connections")
            process.send_signal(signal.SIGINT)
            while "ending" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, -signal.SIGINT)
            server.process.kill()
            server.process.communicate()


class Terminal:
    """A terminal that reads along, as people do: what nobody reads would stop the program in the end."""

    def __enter__(self):
        self.master, self.slave = os.openpty()
        self.read = b""
        self.reader = threading.Thread(target=self.read_on)
        self.reader.start()
        return self

    def read_on(self):
        try:
            while part := os.read(self.master, 4096):
                self.read += part
        except OSError:
            pass  # EIO: all who wrote have gone

    def __exit__(self, *error):
        os.close(self.slave)
        self.reader.join()
        os.close(self.master)


class People(unittest.TestCase):
    def test_the_report(self):
        with Server() as server:
            done = run("load", server.url, "--requests", 100, check=0)
        for word in ("requests", "throughput", "failures", "p50", "p90", "p99", "p99.9", "max", "worker"):
            self.assertIn(word, done.stdout)
        self.assertIn("100 of 100", done.stderr)

    def test_quiet(self):
        with Server() as server:
            self.assertEqual(run("load", server.url, "--requests", 10, "--quiet", check=0).stderr, "")

    def test_failures_are_shown_by_kind(self):
        with closed_port() as port:
            done = run("load", f"http://127.0.0.1:{port}/", "--requests", 7, check=1)
        self.assertRegex(done.stdout, r"7\s+refused")

    def test_a_bar_on_a_terminal(self):
        with Server() as server, Terminal() as terminal:
            done = subprocess.run([PROGRAM, "load", server.url, "--requests", "2000"], stdout=subprocess.PIPE,
                                  stderr=terminal.slave, env={**os.environ, "TERM": "xterm"}, check=True)
        drawn = terminal.read.decode()
        self.assertIn("100%", drawn)
        self.assertIn("2,000/2,000", drawn)
        self.assertNotIn(b"\x1b", done.stdout)


class NamedLimit(ConfigFile):
    def test_the_limit_of_the_configuration_holds(self):
        self.write("[limits]\nupstream = 5\n")
        with Server() as server:
            report = load(server.url + "/sleep?ms=5", "--requests", 200, "--config", self.path,
                          "--named-limit", "upstream")
            self.assertEqual(report["limit"], {"name": "upstream", "at_end": 5})
            self.assertEqual(report["failures"], 0)
            self.assertLessEqual(server.stop()["most_connections"], 5)

    def test_one_that_adapts_grows_while_all_goes_well(self):
        self.write("[limits.upstream]\nkind = 'aimd'\ninitial = 2\nmax = 20\n")
        with Server() as server:
            report = load(server.url + "/sleep?ms=1", "--requests", 500, "--config", self.path,
                          "--named-limit", "upstream")
            self.assertEqual(report["limit"]["at_end"], 20)
            self.assertLessEqual(server.stop()["most_connections"], 20)

    def test_a_name_that_there_is_not(self):
        self.write("[limits]\nupstream = 5\n")
        done = run("load", "http://127.0.0.1:1/", "--config", self.path, "--named-limit", "upsteam", check=2)
        self.assertIn("upsteam", done.stderr)
        self.assertIn("[limits]", done.stderr)
        done = run("load", "http://127.0.0.1:1/", "--named-limit", "x", "--limit", 3, check=2)
        self.assertIn("--limit", done.stderr)

    def test_sighup_reads_the_file_again(self):
        self.write("[limits]\nupstream = 2\nother = 1\n")
        with Server() as server:
            process = subprocess.Popen([PROGRAM, "load", server.url + "/sleep?ms=2", "--duration", "1h", "--json",
                                        "--config", self.path, "--named-limit", "upstream"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            with process:
                wait_until(lambda: handles(process.pid, signal.SIGHUP), "a program that listens for SIGHUP")
                self.write("[limits]\nupstream = 0\n")
                process.send_signal(signal.SIGHUP)
                self.assertIn("upstream", process.stderr.readline())
                self.assertIn("nothing has changed", process.stderr.readline())
                self.write("[runtime]\nspin = '1us'\n[limits]\nupstream = 3\nother = 1\n")
                process.send_signal(signal.SIGHUP)
                self.assertIn("new limits: upstream\n", process.stderr.readline())
                self.assertIn("need a restart: runtime.spin", process.stderr.readline())
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=PATIENCE)
        report = json.loads(output.strip().splitlines()[-1])
        self.assertEqual(report["limit"], {"name": "upstream", "at_end": 3})

    def test_serve_reads_its_file_again_too(self):
        self.write("[limits]\nupstream = 2\n")
        with Server("--config", self.path) as server:
            server.ask_to_end(signal.SIGHUP)
            self.assertIn("no limit has changed", server.process.stderr.readline())


if __name__ == "__main__":
    main()
