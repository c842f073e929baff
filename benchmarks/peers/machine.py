"""What was measured on, and who used its CPUs: for the results of every group."""

import os
import pathlib
import platform
import resource
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


def idle_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """CPU time of this process, and of its children that have ended."""
    return sum(used.ru_utime + used.ru_stime
               for used in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Foreign:
    """How many cores others have used since it was made: what was not idle, minus what was ours."""

    TICKS = 0.02  # seconds: idleness is counted in hundredths, on each of the CPUs

    def __init__(self):
        self.begun, self.idle, self.own = time.monotonic(), idle_seconds(), own_seconds()

    def cores(self):
        passed = time.monotonic() - self.begun
        used = passed * os.cpu_count() - (idle_seconds() - self.idle) - (own_seconds() - self.own)
        return max(0.0, used - self.TICKS) / passed
