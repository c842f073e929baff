"""One run after the other, interleaved: each row on each twin, then all again, in another order."""

import json
import resource
import subprocess
import time

import machine
import repeating
from scheduler.twins import COMPILED


def output_of(command, seconds, source=None):
    """What it prints. Throws RuntimeError."""
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"took more than {seconds:g} s") from None
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip() or f"ended with status {done.returncode}").splitlines()[-1])
    return done.stdout


def compile_once(twin, row, seconds):
    def used():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    begun, cpu = time.monotonic(), used()
    output_of(twin.compile_command(), seconds, twin.source(row))
    return {"row": row, "workers": 0, "ops": 1, "ms": (time.monotonic() - begun) * 1e3,
            "cpu_ms": (used() - cpu) * 1e3}


def measure(twin, row, workers, seconds):
    """One run. Throws RuntimeError."""
    foreign = machine.Foreign()
    if row in COMPILED:
        result = compile_once(twin, row, seconds)
    else:
        result = json.loads(output_of(twin.command(row, workers), seconds))
    result["foreign_cores"] = foreign.cores()
    return result


class Runner:
    def __init__(self, twins, options, skipped, save):
        self.options = options
        self.skipped = skipped  # a sentence for each figure that is missing is added
        self.save = save  # called with the runs so far
        has = {twin.name: twin.rows() for twin in twins}
        self.plan = [(row, workers, [twin for twin in twins if row in has[twin.name]])
                     for row, workers in self.cells()]
        self.plan = [(row, workers, having) for row, workers, having in self.plan if having]
        self.total = sum(len(having) for _, _, having in self.plan) * options.repetitions
        self.repeats = repeating.Repeats(options, self.total)
        self.runs = []
        self.given_up = set()  # what failed once: it is not tried again

    def cells(self):
        """(row, workers), each once."""
        return dict.fromkeys((row.name, workers) for row in self.options.chosen for workers in row.workers
                             if workers == 0 or str(workers) in self.options.workers)

    def run(self):
        for repetition in range(self.options.repetitions):
            for row, workers, having in self.plan:
                for twin in repeating.rotated(having, repetition):
                    self.keep(twin, row, workers, repetition)
            self.save(self.runs)

    def keep(self, twin, row, workers, repetition):
        if (twin.name, row, workers) in self.given_up:
            return
        with_workers = f" with {workers}" if workers else ""
        what = f"{row}, {twin.name}{with_workers}"
        best = self.repeats.best_of(lambda: measure(twin, row, workers, self.options.seconds), what)
        if best is None:
            self.given_up.add((twin.name, row, workers))
            self.skipped.append(f"{what}: a run failed, or took more than {self.options.seconds:g} s")
            return
        best.update(twin=twin.name, repetition=repetition)
        self.runs.append(best)
        figure = f"p50 {best['p50_us']:.1f} us" if "p50_us" in best else f"{best['ms']:.1f} ms"
        print(f"   {len(self.runs)}/{self.total} {what}: {figure}, CPU {best['cpu_ms']:.1f} ms, "
              f"foreign {best['foreign_cores']:.2f}", flush=True)
