"""How the programs of a group are built, and why one may be missing."""

import os
import pathlib
import shutil
import subprocess

import machine

REGISTRY = pathlib.Path("/usr/share/cargo/registry")  # where Debian puts the sources of Rust's libraries


class Missing(Exception):
    """Why a program is not measured; one sentence."""


def needs(present, package):
    if not present:
        raise Missing(f"the Debian package {package} is not installed")


def build_with(log, command, **options):
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode != 0:
        raise Missing(f"it does not build, see {log}")


def cmake(log, folder, target):
    build_with(log, ["cmake", "--build", folder, "--target", target])


def cargo(log, source, copy):
    """Builds a copy of the package, with what Debian has only; gives the folder of the program."""
    needs(os.access("/usr/bin/cargo", os.X_OK), "cargo")
    needs(os.access("/usr/bin/rustc", os.X_OK), "rustc")
    needs(any(REGISTRY.glob("tokio-1.*")), "librust-tokio-dev")
    shutil.copytree(source, copy, dirs_exist_ok=True)
    build_with(log, [
        "/usr/bin/cargo", "build", "--offline", "--release", "--config", 'source.crates-io.replace-with="debian"',
        "--config", f'source.debian.directory="{REGISTRY}"'
    ], cwd=copy, env={**os.environ, "RUSTC": "/usr/bin/rustc", "CARGO_HOME": str(copy / "cargo"),
                      "CARGO_TARGET_DIR": str(copy / "target")})
    return copy / "target/release"


def tokio_version():
    return f"{next(REGISTRY.glob('tokio-1.*')).name}, {machine.first_line('/usr/bin/rustc', '--version')}"


def go(log, source, program):
    needs(shutil.which("go"), "golang-go")
    build_with(log, ["go", "build", "-o", program, "."], cwd=source,
               env={**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local",
                    "GOCACHE": str(program.parent / "go_cache")})


def go_version():
    return machine.first_line("go", "version").removeprefix("go version ")


def prepare(programs):
    """Builds them: those that can be measured, and a sentence for each that cannot."""
    ready, skipped = [], []
    for program in programs:
        print(f"== building {program.name}", flush=True)
        try:
            program.build()
            ready.append(program)
        except Missing as why:
            skipped.append(f"{program.name}: {why}")
            print(f"   {program.name} is skipped: {why}", flush=True)
    return ready, skipped
