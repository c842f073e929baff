"""One run after the other, interleaved: each server in each scenario, then all again, in another order."""

import json
import pathlib
import re
import subprocess

import repeating

PAUSE = 120  # seconds after which a run that does not end counts as failed


def memory_of(process):
    """In RAM, in bytes: now, and the most there has been. What the kernel holds for it is not in it."""
    status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s*(\d+) kB$.*^VmRSS:\s*(\d+) kB$", status, re.MULTILINE | re.DOTALL)
    if not found:
        raise RuntimeError("the server has ended")
    most, now = (int(kilobytes) * 1024 for kilobytes in found.groups())
    return now, most


def measure(server, scenario, options, client):
    """One run. Throws RuntimeError."""
    asked = dict(scenario.client, seconds=options.seconds * scenario.stretch)
    if scenario.open_loop and options.slice_us:
        asked["slice_us"] = options.slice_us
    with server.running() as (process, port):
        command = [client, f"port={port}", f"server={process}", *(f"{key}={value}" for key, value in asked.items())]
        limit = PAUSE + asked["seconds"]
        at_start, _ = memory_of(process)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError("the client did not come to its end") from None
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        _, most = memory_of(process)
    return dict(json.loads(done.stdout), memory_at_start=at_start, memory=most)


class Runner:
    def __init__(self, servers, scenarios, options, client, save):
        self.servers, self.scenarios, self.options, self.client = servers, scenarios, options, client
        self.total = len(servers) * len(scenarios) * options.repetitions
        self.repeats = repeating.Repeats(options, self.total)
        self.runs = []
        self.save = save  # called with the runs so far

    def run(self):
        for repetition in range(self.options.repetitions):
            for scenario in self.scenarios:
                for server in repeating.rotated(self.servers, repetition):
                    self.keep(server, scenario, repetition)
            self.save(self.runs)

    def keep(self, server, scenario, repetition):
        best = self.repeats.best_of(lambda: measure(server, scenario, self.options, self.client),
                                    f"{scenario.name}, {server.name}")
        if best is None:
            return
        best.update(server=server.name, scenario=scenario.name, repetition=repetition)
        self.runs.append(best)
        light = best["light"]
        print(f"   {len(self.runs)}/{self.total} {scenario.name}, {server.name}: p50 {light['p50']:.0f} us, p99 "
              f"{light['p99']:.0f} us, max {light['max']:.0f} us, {best['per_second']:.0f}/s, foreign "
              f"{best['foreign_cores']:.2f}", flush=True)
