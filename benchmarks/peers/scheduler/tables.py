"""The runs as Markdown: the table that answers, and one for each row with all that was measured."""

import statistics

import layout
import repeating
from scheduler.rows import milliseconds, microseconds
from scheduler.twins import KINDS


def median(runs, row):
    return statistics.median(row.figure.of(run, row) for run in runs)


def text_of(runs, row):
    return ("≈ " if row.scaled(runs[0]) else "") + row.figure.text(median(runs, row))


class Results:
    """The runs by row, twin and number of workers."""

    def __init__(self, runs):
        self.runs = runs

    def of(self, row, twin, workers):
        return repeating.undisturbed([run for run in self.runs if row.measured(run) and run["twin"] == twin
                                      and run["workers"] == workers])

    def best_peer(self, row, workers):
        """Its name and its runs, or None."""
        peers = [(name, self.of(row, name, workers)) for name, kind in KINDS.items() if not kind.ours]
        peers = [(name, runs) for name, runs in peers if runs]
        return min(peers, key=lambda peer: median(peer[1], row), default=None)

    def present(self, row):
        return [name for name in KINDS if any(self.of(row, name, workers) for workers in row.workers)]


def summary_cells(results, row, workers):
    """Of the best peer, of magpie and of magpie by g++; workers None: the row does not know that number."""
    if workers is None:
        return ["", "", ""]
    best = results.best_peer(row, workers)
    cells = [f"{best[0]} {text_of(best[1], row)}" if best else "–"]
    for name in (name for name, kind in KINDS.items() if kind.ours):
        runs = results.of(row, name, workers)
        cells.append(text_of(runs, row) if runs else "–")
    return cells


def summary(results, rows):
    ours = [name for name, kind in KINDS.items() if kind.ours]
    columns = ["best peer", *ours, "goal"]
    yield from layout.head(["", *(f"{column}, {count}" for count in ("1 worker", "2 workers") for column in columns)])
    for row in rows:
        if not results.present(row):
            continue
        # What is compiled has no workers; it stands in the first half.
        first = 0 if row.compiled else 1 if 1 in row.workers else None
        second = 2 if 2 in row.workers else None
        yield layout.line([row.title, *summary_cells(results, row, first), "" if first is None else row.goals[0],
                           *summary_cells(results, row, second), "" if second is None else row.goals[1]])
    yield ""


def details(results, row):
    yield f"## {row.title}"
    yield ""
    columns = ["runtime", "workers", row.figure.what]
    runs_of = {(name, workers): results.of(row, name, workers)
               for name in results.present(row) for workers in row.workers}
    has_waits = any("p99_us" in run for runs in runs_of.values() for run in runs)
    has_cpu = row.figure.key != "cpu_ms"
    columns += ["p99", "max"] * has_waits + ["CPU"] * has_cpu + ["peak memory", "foreign cores", "n"]
    yield from layout.head(columns)
    for (name, workers), runs in runs_of.items():
        if not runs:
            continue
        cells = [name, str(workers) if workers else "", layout.spread([row.figure.of(run, row) for run in runs],
                                                                      row.figure.text)]
        if has_waits:
            cells += [microseconds(statistics.median(run[key] for run in runs)) for key in ("p99_us", "max_us")]
        if has_cpu:
            cells.append(milliseconds(statistics.median(run["cpu_ms"] for run in runs)))
        memory = [run["peak_mb"] for run in runs if "peak_mb" in run]
        cells.append(f"{statistics.median(memory):.1f} MB" if memory else "")
        cells.append(f"{max(run['foreign_cores'] for run in runs):.2f}")
        cells.append(layout.count(runs) + (f", of {runs[0]['ops']:,} tasks" if row.scaled(runs[0]) else ""))
        yield layout.line(cells)
    yield ""


def report(document, rows):
    results = Results(document["runs"])
    yield from layout.context(document, "The scheduler, against peers")
    yield ("Medians [least – greatest] of n processes; each ran the row once as a rehearsal and then until it took "
           "300 ms. ≈: it ran a smaller problem, and the time is that for as many tasks; its CPU and its memory are "
           "those of the smaller one.")
    yield ""
    yield from layout.versions_and_gaps(document)
    yield from summary(results, rows)
    for row in rows:
        if results.present(row) and row.figure.key != "peak_mb":
            yield from details(results, row)
