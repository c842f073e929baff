"""The servers: how each is built, started and ended. All have two threads that handle requests."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import machine

HERE = pathlib.Path(__file__).resolve().parent
REGISTRY = pathlib.Path("/usr/share/cargo/registry")  # where Debian puts the sources of Rust's libraries
THREADS = 2
PATIENCE = 20  # seconds


class Missing(Exception):
    """Why a server is not measured; one sentence."""


def needs(present, package):
    if not present:
        raise Missing(f"the Debian package {package} is not installed")


def build_with(log, command, **options):
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode != 0:
        raise Missing(f"it does not build, see {log}")


class Server:
    name = ""

    def __init__(self, build):
        self.folder = build / "peers"
        self.build_folder = build
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{self.name.replace(' ', '_')}.log"

    def build(self):
        """Throws Missing."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def version(self):
        return ""

    def cmake(self, target):
        build_with(self.log, ["cmake", "--build", self.build_folder, "--target", target])

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
        needs(os.access("/usr/bin/cargo", os.X_OK), "cargo")
        needs(os.access("/usr/bin/rustc", os.X_OK), "rustc")
        needs(any(REGISTRY.glob("tokio-1.*")), "librust-tokio-dev")
        source = self.folder / "tokio"
        shutil.copytree(HERE / "tokio", source, dirs_exist_ok=True)
        build_with(self.log, [
            "/usr/bin/cargo", "build", "--offline", "--release", "--config", 'source.crates-io.replace-with="debian"',
            "--config", f'source.debian.directory="{REGISTRY}"'
        ], cwd=source, env={**os.environ, "RUSTC": "/usr/bin/rustc", "CARGO_HOME": str(source / "cargo"),
                            "CARGO_TARGET_DIR": str(source / "target")})

    def command(self):
        return [self.folder / "tokio/target/release/server", str(THREADS)]

    def version(self):
        return f"{next(REGISTRY.glob('tokio-1.*')).name}, {machine.first_line('/usr/bin/rustc', '--version')}"


class Go(Server):
    name = "go"

    def build(self):
        needs(shutil.which("go"), "golang-go")
        build_with(self.log, ["go", "build", "-o", self.folder / "tails_go", "."], cwd=HERE / "go",
                   env={**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local",
                        "GOCACHE": str(self.folder / "go_cache")})

    def command(self):
        return [self.folder / "tails_go", str(THREADS)]

    def version(self):
        return machine.first_line("go", "version").removeprefix("go version ")


class Asio(Server):
    name = "asio"

    def build(self):
        needs(os.path.exists("/usr/include/asio.hpp"), "libasio-dev")
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
