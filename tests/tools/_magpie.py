"""The program as a person uses it: started, talked to, ended. Shared by the scripts of this folder.

MAGPIE_PROGRAM names the program; MAGPIE_IO_BACKEND, which the program reads itself, the event loop to use.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = os.environ.get("MAGPIE_PROGRAM", "magpie")
SANITIZED = os.environ.get("MAGPIE_SANITIZED") == "1"
PATIENCE = 250 if SANITIZED else 60  # seconds until a test gives up; nothing is ever expected to take long


def run(*arguments, check=None, environment=None, **options):
    """Runs the program to its end."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, **(environment or {})}, **options)
    if check is not None and done.returncode != check:
        raise AssertionError(f"{arguments}: status {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}")
    return done


def run_json(*arguments, check=0, **options):
    """The last line of what --json prints."""
    done = run(*arguments, "--json", check=check, **options)
    return json.loads(done.stdout.strip().splitlines()[-1])


class Server:
    """`magpie serve` on a free port; `with` ends it as SIGTERM does."""

    def __init__(self, *arguments, environment=None, **options):
        self.process = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--json", *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})}, **options)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the server did not start: {self.process.communicate()[1]}")
        self.ready = json.loads(line)
        self.port = self.ready["port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def connect(self, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def exchange(self, request, half_close=False):
        """Sends bytes on a connection of its own and gives all bytes that come back until the server closes."""
        with self.connect() as connection:
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return receive_all(connection)

    def status_field(self, name):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise KeyError(name)

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def ask_to_end(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def end(self):
        """The report, after the end."""
        output, self.errors = self.process.communicate(timeout=PATIENCE)
        if self.process.returncode != 0:
            raise AssertionError(f"the server ended with {self.process.returncode}: {self.errors}")
        return json.loads(output.strip().splitlines()[-1])

    def stop(self):
        self.ask_to_end()
        return self.end()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.process.kill()
                self.process.communicate()
        self.process.stdout.close()
        self.process.stderr.close()


class FakeServer:
    """A server written by the test: `answer(connection, number)` gets each accepted connection in a thread of its own."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.answer = answer
        threading.Thread(target=self.accept_all, daemon=True).start()

    def accept_all(self):
        number = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection, number), daemon=True).start()
            number += 1

    def serve(self, connection, number):
        with connection, contextlib.suppress(OSError):
            self.answer(connection, number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def receive_all(connection):
    data = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def receive_until(connection, end, start=b""):
    data = start
    while end not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError(f"the connection ended after {data!r}")
        data += part
    return data


def wait_until(condition, what):
    """For what happens soon, but nobody can say when."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.01)


@contextlib.contextmanager
def closed_port():
    """Refuses connections, and nobody else can get it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class ConfigFile(unittest.TestCase):
    """With a place for one, self.path."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "magpie.toml")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.path


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def main():
    unittest.main(module="__main__", verbosity=2)
