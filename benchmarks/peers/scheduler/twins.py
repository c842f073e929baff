"""The programs that are measured: one for each runtime, called alike; twin.hpp says how."""

import os
import pathlib
import subprocess

import building
import machine
from scheduler.rows import ROWS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
COMPILED = tuple(row.name for row in ROWS if row.compiled)


class Twin:
    name = ""
    ours = False  # magpie itself
    compiler = ()  # the command for the rows that compile
    header = ""

    def __init__(self, build):
        self.build_folder = build
        self.folder = build / "peers"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"scheduler_{self.name.replace(' ', '_').replace(',', '')}.log"

    def build(self):
        """Throws building.Missing."""

    def program(self):
        raise NotImplementedError

    def version(self):
        return ""

    def rows(self):
        """The names of those that it has."""
        listed = subprocess.run([self.program(), "--list"], capture_output=True, text=True, check=True).stdout.split()
        return listed + [name for name in COMPILED if self.source(name)]

    def source(self, name):
        """Of a row that compiles, as text; empty if there is none."""
        if name == "include" and self.header:
            return f"#include <{self.header}>\n"
        return ""

    def compile_command(self):
        return [*self.compiler, "-O2", "-x", "c++", "-c", "-o", "/dev/null", "-"]

    def command(self, row, workers):
        return [self.program(), row, "--workers", str(workers)]


class Magpie(Twin):
    name = "magpie"
    ours = True
    header = "magpie/magpie.hpp"
    preset = "release"
    compiler = ("clang++-19", "-std=c++23")

    def build(self):
        building.cmake(self.log, self.build_folder, "magpie_peer_scheduler_magpie")

    def program(self):
        return self.folder / "scheduler_magpie"

    def source(self, name):
        return (HERE / "magpie/hello.cpp").read_text(encoding="utf-8") if name == "hello" else super().source(name)

    def compile_command(self):
        return [*super().compile_command(), f"-I{self.build_folder}/include"]

    def version(self):
        return machine.first_line(self.compiler[0], "--version")


class MagpieByGcc(Magpie):
    name = "magpie, g++ 12"
    compiler = ("g++-12", "-std=c++23")

    def __init__(self, build):
        super().__init__(build.parent / "gcc-release")

    def build(self):
        building.needs(os.access("/usr/bin/g++-12", os.X_OK), "g++-12")
        building.build_with(self.log, ["cmake", "--preset", "gcc-release", "--log-level=NOTICE"], cwd=ROOT)
        super().build()


class OneTbb(Twin):
    name = "oneTBB"
    header = "oneapi/tbb.h"
    compiler = ("clang++-19", "-std=c++20")

    def build(self):
        building.needs(os.path.exists("/usr/include/oneapi/tbb.h"), "libtbb-dev")
        building.cmake(self.log, self.build_folder, "magpie_peer_scheduler_tbb")

    def program(self):
        return self.folder / "scheduler_tbb"

    def version(self):
        return machine.package_version("libtbb-dev")


class Tokio(Twin):
    name = "tokio"

    def build(self):
        building.cargo(self.log, HERE / "tokio", self.folder / "scheduler_tokio")

    def program(self):
        return self.folder / "scheduler_tokio/target/release/twin"

    def version(self):
        return building.tokio_version()


class Go(Twin):
    name = "go"

    def build(self):
        building.go(self.log, HERE / "go", self.program())

    def program(self):
        return self.folder / "scheduler_go"

    def version(self):
        return building.go_version()


class Asio(Twin):
    name = "asio"
    header = "asio.hpp"
    compiler = ("clang++-19", "-std=c++20", "-DASIO_HAS_CO_AWAIT", "-DASIO_HAS_STD_COROUTINE")

    def build(self):
        building.needs(os.path.exists("/usr/include/asio.hpp"), "libasio-dev")
        building.cmake(self.log, self.build_folder, "magpie_peer_scheduler_asio")

    def program(self):
        return self.folder / "scheduler_asio"

    def version(self):
        return machine.package_version("libasio-dev")


KINDS = {kind.name: kind for kind in (Magpie, MagpieByGcc, OneTbb, Tokio, Go, Asio)}
