"""The servers: how each is built, started and ended. All have two threads that handle requests."""

import contextlib
import os
import pathlib
import re
import subprocess

import building
import machine

HERE = pathlib.Path(__file__).resolve().parent
THREADS = 2
PATIENCE = 20  # seconds


class Server:
    name = ""

    def __init__(self, build):
        self.folder = build / "peers"
        self.build_folder = build
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{self.name.replace(' ', '_')}.log"

    def build(self):
        """Throws building.Missing."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def version(self):
        return ""

    def cmake(self, target):
        building.cmake(self.log, self.build_folder, target)

    @contextlib.contextmanager
    def running(self):
        """The process and its port."""
        with open(self.log, "w", encoding="utf-8") as log, \
                subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log, text=True,
                                 env={**os.environ, **self.environment()}) as process:
            try:
                found = re.search(r"listening on 127\.0\.0\.1:(\d+)", process.stdout.readline())
                if not found:
                    raise RuntimeError(f"{self.name} did not start, see {self.log}")
                yield process.pid, int(found.group(1))
            finally:
                process.kill()


class Magpie(Server):
    name = "magpie"

    def build(self):
        self.cmake("magpie_program")

    def command(self):
        return [self.build_folder / "bin/magpie", "serve", "--protocol", "echo", "--listen", "127.0.0.1:0", "--workers",
                str(THREADS), "--message-size", "64", "--burn-on", "H:20ms", "--block-on", "B:200ms", "--reply-on",
                "L:1MiB", "--idle-timeout", "0s"]

    def version(self):
        return machine.first_line(self.build_folder / "bin/magpie", "--version").removeprefix("magpie ")


class MagpieWithoutRescue(Magpie):
    name = "magpie without rescue"

    def environment(self):
        return {"MAGPIE_RUNTIME_RESCUE": "false"}


class Tokio(Server):
    name = "tokio"

    def build(self):
        building.cargo(self.log, HERE / "tokio", self.folder / "tokio")

    def command(self):
        return [self.folder / "tokio/target/release/server", str(THREADS)]

    def version(self):
        return building.tokio_version()


class Go(Server):
    name = "go"

    def build(self):
        building.go(self.log, HERE / "go", self.folder / "tails_go")

    def command(self):
        return [self.folder / "tails_go", str(THREADS)]

    def version(self):
        return building.go_version()


class Asio(Server):
    name = "asio"

    def build(self):
        building.needs(os.path.exists("/usr/include/asio.hpp"), "libasio-dev")
        self.cmake("magpie_peer_tails_asio")

    def command(self):
        return [self.folder / "tails_asio", str(THREADS)]

    def version(self):
        return machine.package_version("libasio-dev")


class Uring(Server):
    name = "liburing"

    def build(self):
        self.cmake("magpie_peer_tails_uring")

    def command(self):
        return [self.folder / "tails_uring", str(THREADS)]

    def version(self):
        return machine.package_version("liburing-dev")


KINDS = {kind.name: kind for kind in (Magpie, MagpieWithoutRescue, Tokio, Go, Asio, Uring)}
