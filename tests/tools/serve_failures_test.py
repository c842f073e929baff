"""magpie serve where something is wrong with the machine or the command line: one sentence, with cause and remedy."""

import ctypes
import os
import platform
import resource
import socket
import struct
import subprocess
import unittest

from _magpie import PROGRAM, Server, main, run, run_json

IO_URING_SETUP = 425  # on every architecture
MEMBARRIER = {"x86_64": 324, "aarch64": 283}.get(platform.machine())


def refuse_io_uring():
    refuse(IO_URING_SETUP)


def refuse_membarrier():
    refuse(MEMBARRIER)


def refuse(number):
    """A seccomp filter as containers have it: that system call gives EPERM. In the child, before exec."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    load_number, jump_if_equal, give = 0x20, 0x15, 0x06
    filters = (struct.pack("HBBI", load_number, 0, 0, 0) + struct.pack("HBBI", jump_if_equal, 0, 1, number) +
               struct.pack("HBBI", give, 0, 0, 0x00050000 | 1) + struct.pack("HBBI", give, 0, 0, 0x7FFF0000))
    buffer = ctypes.create_string_buffer(filters, len(filters))
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, ctypes.create_string_buffer(program, len(program)), 0, 0) != 0:
        os._exit(99)


def allow_files(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


class Failures(unittest.TestCase):
    def one_sentence(self, done, status, *words):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.one_sentence(run("serve", "--listen", f"127.0.0.1:{port}"), 1, str(port), "in use")

    def test_an_address_of_another_machine(self):
        self.one_sentence(run("serve", "--listen", "192.0.2.1:8080"), 1, "192.0.2.1")

    def test_a_name_that_is_none(self):
        self.one_sentence(run("serve", "--listen", "no-such-host.invalid:8080"), 1, "no-such-host.invalid")

    def test_no_address(self):
        for text in ("nonsense", "127.0.0.1", "127.0.0.1:99999", "[::1:80"):
            self.one_sentence(run("serve", "--listen", text), 2, text)

    def test_burn_rules(self):
        self.one_sentence(run("serve", "--burn-on", "x:1ms"), 2, "--protocol echo")
        for rule in ("x", "xx:1ms", "x:1", "x:1h", ":", ""):
            self.one_sentence(run("serve", "--protocol", "echo", "--burn-on", rule), 2, "BYTE:DURATION")

    def test_other_rules_of_echo(self):
        for option, value in (("--block-on", "x:1ms"), ("--reply-on", "x:1"), ("--message-size", "1")):
            self.one_sentence(run("serve", option, value), 2, "--protocol echo")
        self.one_sentence(run("serve", "--protocol", "echo", "--block-on", "x:1h"), 2, "BYTE:DURATION")
        for rule in ("x", "x:0", "x:2GiB", "x:1MB"):
            self.one_sentence(run("serve", "--protocol", "echo", "--reply-on", rule), 2, "BYTE:SIZE")
        for size in ("0", "2MiB", "many"):
            self.one_sentence(run("serve", "--protocol", "echo", "--message-size", size), 2, "size")

    def test_failures_as_json(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            failure = run_json("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", check=1)
        self.assertIn("in use", failure["error"])

    def test_too_few_files_for_what_is_wanted(self):
        with Server("--max-connections", 5000, preexec_fn=allow_files(200)) as server:
            server.stop()
        self.assertIn("ulimit", server.errors)
        self.assertIn("5,000 connections", server.errors)

    def test_too_few_files_for_anything(self):
        self.one_sentence(run("serve", "--listen", "127.0.0.1:0", preexec_fn=allow_files(20)), 1, "ulimit")

    def test_the_soft_limit_is_raised(self):
        def lower():
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))

        with Server(preexec_fn=lower) as server:
            connections = [server.connect() for _ in range(100)]
            for connection in connections:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 200"))
                connection.close()

    def test_more_clients_than_files(self):
        with Server(preexec_fn=allow_files(100)) as server:
            connections = [server.connect() for _ in range(200)]
            for connection in connections:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 200"))
                connection.close()

    def test_io_uring_refused(self):
        if os.environ.get("MAGPIE_IO_BACKEND") == "poll":
            return  # nobody asks for it
        with Server(preexec_fn=refuse_io_uring) as server:
            self.assertEqual(server.ready["backend"], "poll")
            answer = server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 200"))
            server.stop()
        self.assertEqual(server.errors.count("io_uring is not used"), 1, "once, however many loops there are")
        self.assertIn("seccomp", server.errors)

    def test_io_uring_refused_and_insisted_on(self):
        done = run("serve", "--backend", "io_uring", "--listen", "127.0.0.1:0", preexec_fn=refuse_io_uring)
        self.one_sentence(done, 1, "io_uring", "seccomp")

    def test_doctor_says_why(self):
        done = run("doctor", check=0, preexec_fn=refuse_io_uring)
        self.assertIn("seccomp", done.stdout)

    @unittest.skipIf(MEMBARRIER is None, "the call's number is not known")
    def test_doctor_says_what_follows_without_membarrier(self):
        done = run("doctor", check=0, preexec_fn=refuse_membarrier)
        self.assertIn("timer tick", done.stdout)
        self.assertNotIn("timer tick", run("doctor", check=0).stdout)

    def test_stdout_that_takes_nothing(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)


if __name__ == "__main__":
    main()
