"""The rows of the table: what is asked of each runtime, and which of its figures answers it."""

import dataclasses


def significant(value):
    """Three digits, as far as they are behind the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def milliseconds(value):
    return f"{significant(value)} ms"


def microseconds(value):
    return f"{significant(value)} µs" if value < 10_000 else milliseconds(value / 1000)


@dataclasses.dataclass(frozen=True)
class Figure:
    key: str  # of a run
    what: str
    text: object

    def of(self, run, row):
        if self.key == "cores":
            return run["cpu_ms"] / run["ms"]
        if self.key == "ms" and row.ops:
            return run["ms"] * row.ops / run["ops"]
        return run[self.key]


TIME = Figure("ms", "time", milliseconds)
WAIT = Figure("p50_us", "median wait", microseconds)
CPU = Figure("cpu_ms", "CPU time", milliseconds)
CORES = Figure("cores", "cores", lambda value: f"{value:.2f} cores")
PEAK = Figure("peak_mb", "peak memory", lambda value: f"{significant(value)} MB")


@dataclasses.dataclass(frozen=True)
class Row:
    name: str  # what a twin is asked for
    title: str
    figure: Figure = TIME
    workers: tuple = (1, 2)
    ops: int = 0  # of the whole row: who runs less of it is scaled up
    goals: tuple = ("", "")  # with 1 and with 2 workers
    compiled: bool = False  # it is the compiler that runs

    def measured(self, run):
        """Whether the run says something about this row: a smaller problem says nothing about memory."""
        return run["row"] == self.name and (self.figure is not PEAK or run["ops"] == self.ops)

    def scaled(self, run):
        return bool(self.ops) and run["ops"] != self.ops


ROWS = (
    Row("fib34", "fib(34), 18.5 M tasks", ops=18_454_929, goals=("195 ms", "100 ms")),
    Row("skynet10m", "skynet, 10 M leaves", ops=11_111_111, goals=("185 ms", "92 ms")),
    Row("queens12", "12 queens, 0.86 M tasks", ops=856_189, goals=("113 ms", "60 ms")),
    Row("flat1m", "flat fan-out of a range, 1 M empty tasks", ops=1_000_000, goals=("35 ms", "30 ms")),
    Row("spawn1m", "spawn and join by handle, 1 M empty tasks", ops=1_000_000, goals=("120 ms", "150 ms")),
    Row("yield1m", "yield, 1 M times by 2 tasks", ops=1_000_000, goals=("20 ms", "40 ms")),
    Row("mutex1m", "mutex, 1 M times by 100 tasks", ops=1_000_000, goals=("17 ms", "25 ms")),
    Row("semaphore1m", "semaphore of 4, 1 M times by 100 tasks", ops=1_000_000, goals=("19 ms", "40 ms")),
    Row("channel10m", "channel of 1024, 10 M items", ops=10_000_000, goals=("380 ms", "380 ms")),
    Row("tcp100k", "TCP, 100 k round trips over 20 connections, one pool", ops=100_000, goals=("400 ms", "400 ms")),
    Row("wakeup", "foreign thread to the runtime and back", WAIT, goals=("4.4 µs", "4.4 µs")),
    Row("hog", "a foreign task behind a fork-join hog", WAIT, goals=("100 µs", "")),
    Row("skynet10m", "peak memory of skynet, 10 M leaves", PEAK, ops=11_111_111, goals=("10 MB", "10 MB")),
    Row("flat1m", "peak memory of the flat fan-out", PEAK, ops=1_000_000, goals=("20 MB", "20 MB")),
    Row("idle", "CPU time in 2 s with nothing to do", CPU, (2,), goals=("", "0 ms")),
    Row("busy", "CPU time while one task computes", CORES, (2,), goals=("", "1.00 cores")),
    Row("include", "compiling an include of everything, -O2", TIME, (0,), compiled=True),
    Row("hello", "compiling a hello, -O2", TIME, (0,), goals=("2000 ms", "2000 ms"), compiled=True),
)
NAMES = tuple(dict.fromkeys(row.name for row in ROWS))
