"""What was measured on: for the results of every group."""

import os
import pathlib
import platform
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


def first_line(*command):
    """Of what the command prints; nothing if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip().split("\n")[0]


def package_version(package):
    return first_line("dpkg-query", "-W", "-f=${Version}", package)


def describe():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "compiler": first_line("clang++-19", "--version"),
        "commit": first_line("git", "describe", "--always", "--dirty") or "no commit",
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
